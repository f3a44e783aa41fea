"""The supervisor outlives the command, restarts what dies, and comes back after kill -9 of anything."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.clients.supervisor import Program, State, Supervisor
from infra.clients.supervisor.configuration import described, program_configuration
from infra.clients.supervisor.daemon import INHERITED, holder, processes
from infra.clients.supervisor.place import SOCKET_LIMIT, Place, private_folder, write_private
from infra.core.error import BadInputError
from tests.unit.clients.conftest import Describe


def until(true: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def running(supervisor: Supervisor, name: str = "web") -> Program:
    until(lambda: (program := supervisor.program(name)) is not None and program.state == State.RUNNING)
    program = supervisor.program(name)
    assert program is not None
    return program


@pytest.mark.servers
def test_a_program_is_restarted_and_removed(supervisor: Supervisor, describe: Describe, tmp_path: Path) -> None:
    assert not supervisor.running()
    assert supervisor.programs() == {}
    assert supervisor.ensure_running() is True
    assert supervisor.ensure_running() is False
    server = describe()
    (tmp_path / "web").mkdir()
    supervisor.put(server)
    first = running(supervisor)
    assert supervisor.digest("web") == server.digest
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: (supervisor.program("web") or first).pid not in {0, first.pid})
    supervisor.stop("web")
    assert (program := supervisor.program("web")) is not None
    assert program.state == State.STOPPED
    supervisor.start("web")
    supervisor.start("web")
    running(supervisor)
    assert "Serving HTTP" in supervisor.tail("web")
    supervisor.remove("web")
    supervisor.remove("web")
    assert supervisor.program("web") is None
    assert stat.S_IMODE(supervisor.place.socket.stat().st_mode) == 0o600


@pytest.mark.servers
def test_it_outlives_the_command_that_started_it(supervisor: Supervisor) -> None:
    code = "import sys; from pathlib import Path; from infra.clients.supervisor import Supervisor;"
    code += "Supervisor(Path(sys.argv[1])).ensure_running()"
    subprocess.run([sys.executable, "-c", code, str(supervisor.place.state)], check=True, timeout=60)
    assert supervisor.running()


@pytest.mark.servers
def test_what_a_killed_supervisor_left_is_ended(supervisor: Supervisor, describe: Describe, tmp_path: Path) -> None:
    supervisor.ensure_running()
    (tmp_path / "web").mkdir()
    supervisor.put(describe())
    orphan = running(supervisor).pid
    for process in psutil.Process(orphan).parents():
        if "supervisord" in " ".join(process.cmdline()):
            process.kill()
            process.wait(10)
            break
    assert psutil.pid_exists(orphan)
    assert not supervisor.running()
    assert supervisor.ensure_running() is True
    assert running(supervisor).pid != orphan
    assert orphan not in [process.pid for process in processes(supervisor.place)]


@pytest.mark.servers
def test_one_that_is_shutting_down_is_waited_for(supervisor: Supervisor, describe: Describe, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    supervisor.ensure_running()
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    supervisor.put(describe(command=[sys.executable, "-u", "-c", script], stop_seconds=3))
    until(lambda: "deaf" in supervisor.tail("web"))
    pid = holder(supervisor.place)
    os.kill(pid, signal.SIGTERM)
    until(lambda: not supervisor.running())
    assert psutil.pid_exists(pid)
    assert supervisor.present()
    assert supervisor.programs() == {}
    supervisor.shutdown()
    assert not psutil.pid_exists(pid)
    assert not supervisor.present()


@pytest.mark.servers
def test_nothing_runs_after_a_shutdown(supervisor: Supervisor, describe: Describe, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    supervisor.ensure_running()
    # A child in a session of its own, as the runner's jobs are.
    script = "import subprocess,sys,time; subprocess.Popen(['sleep','300'],start_new_session=True); time.sleep(300)"
    supervisor.put(describe(command=[sys.executable, "-c", script]))
    until(lambda: len(processes(supervisor.place)) == 2)
    supervisor.shutdown()
    assert processes(supervisor.place) == []
    supervisor.shutdown()


@pytest.mark.servers
def test_a_long_state_folder_has_its_socket_elsewhere(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path / ("x" * 100) / ("y" * 100))
    try:
        supervisor.ensure_running()
        socket = supervisor.place.socket
        assert len(str(socket)) < SOCKET_LIMIT
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        assert Supervisor(supervisor.place.state).running()
    finally:
        supervisor.shutdown()


def test_another_users_folder_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(BadInputError, match="not a folder of this user"):
        private_folder(tmp_path / "link")


def test_a_private_file_is_never_wider(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", "x")
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_the_configuration_survives_awkward_values(describe: Describe, tmp_path: Path) -> None:
    server = describe(environment={"A": 'say "hi" 100%', "B": "it's; fine"}, command=["/bin/a b", "50%"])
    text = program_configuration(Place(tmp_path), server)
    assert "command='/bin/a b' 50%%" in text
    assert "A='say \"hi\" 100%%'" in text
    assert described(text) == server.digest


@pytest.mark.parametrize("value", ["a\nb", "both \" and '"], ids=["line-break", "both-quotes"])
def test_a_value_that_supervisord_would_misread_is_refused(describe: Describe, tmp_path: Path, value: str) -> None:
    with pytest.raises(BadInputError):
        program_configuration(Place(tmp_path), describe(environment={"A": value}))


@pytest.mark.parametrize(
    ("name", "taken"),
    [("PATH", True), ("https_proxy", True), ("PIP_INDEX_URL", True), ("AWS_SECRET_ACCESS_KEY", False), ("CI", False)],
)
def test_only_what_reaches_the_outside_is_inherited(name: str, taken: bool) -> None:
    assert bool(INHERITED.fullmatch(name)) is taken
