"""A described server is made once, waited for by use, and found changed when it is."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from infra.clients.openbao import OpenBao
from infra.clients.process import Processes
from infra.clients.request import writes
from infra.clients.supervisor import Supervisor
from infra.core.error import ServerError
from infra.core.server import ConfigFile, Listener, Preparation, Probe, Readiness
from tests.unit.clients.conftest import Describe

Log = list[tuple[str, str, int]]


@pytest.fixture
def seen() -> Log:
    """The requests that were made."""
    return []


@pytest.fixture
def processes(supervisor: Supervisor, seen: Log) -> Processes:
    def observe(verb: str, path: str, status: int) -> None:
        seen.append((verb, path, status))

    nowhere = OpenBao("http://127.0.0.1:1", key=lambda: b"k" * 32)
    return Processes(Supervisor(supervisor.place.state, observe=observe), nowhere, observe=observe)


@pytest.mark.servers
def test_a_second_apply_writes_nothing(processes: Processes, describe: Describe, seen: Log) -> None:
    server = describe()
    processes.apply(server)
    assert processes.ready(server) == ""
    assert processes.difference(server) == []
    seen.clear()
    processes.apply(server)
    assert seen
    assert [request for request in seen if writes(*request[:2])] == []


@pytest.mark.servers
def test_what_was_changed_is_found_and_mended(processes: Processes, describe: Describe, tmp_path: Path) -> None:
    server = describe()
    file = tmp_path / "web" / "web.conf"
    processes.apply(server)
    file.write_text("a=2\n")
    assert processes.difference(server) == [f"{file}: the content differs"]
    file.chmod(0o644)
    assert processes.difference(server) == [f"{file} has mode 644, not 600"]
    file.unlink()
    assert processes.difference(server) == [f"{file} is missing"]
    processes.apply(server)
    assert file.read_text() == "a=1\n"
    processes.supervisor.stop("web")
    assert processes.difference(server) == ["state is STOPPED, not RUNNING"]
    assert processes.ready(server) == "is stopped"
    processes.apply(server)
    assert processes.difference(server.model_copy(update={"version": "2"})) == ["the description changed"]
    processes.remove("web")
    assert processes.supervisor.program("web") is None


@pytest.mark.servers
def test_a_server_that_dies_shows_its_log(processes: Processes, describe: Describe) -> None:
    server = describe(command=[sys.executable, "-c", "print('no room'); raise SystemExit(3)"])
    with pytest.raises(ServerError) as caught:
        processes.apply(server)
    assert caught.value.where == "web"
    assert "no room" in caught.value.detail
    assert server.log in caught.value.fix


@pytest.mark.servers
def test_a_program_that_is_not_there_is_told(processes: Processes, describe: Describe) -> None:
    with pytest.raises(ServerError, match="could not be started"):
        processes.apply(describe(command=["/nonexistent/program"]))


@pytest.mark.servers
def test_a_server_that_never_is_ready_is_given_up(processes: Processes, describe: Describe) -> None:
    readiness = Readiness(probe=Probe.HTTP, url="http://127.0.0.1:1/", timeout=1)
    with pytest.raises(ServerError, match="is not ready after 1 s: waiting for an answer"):
        processes.apply(describe(readiness=readiness))


@pytest.mark.servers
def test_a_port_in_use_is_told_before_anything_starts(processes: Processes, describe: Describe) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=rf"port {port} \(http\) is in use by .*process \d+"):
            processes.apply(describe(listeners=[Listener(name="http", number=port)]))
    assert processes.supervisor.program("web") is None


@pytest.mark.servers
def test_what_the_first_start_needs_is_gone_after_it(processes: Processes, describe: Describe, tmp_path: Path) -> None:
    home = tmp_path / "web"
    first = ConfigFile(path=str(home / "first"), content="{{p}}", secrets={"p": "derived:test"}, first_start_only=True)
    server = describe(files=[first], started_once=str(home / "done"))
    processes.apply(server)
    assert not (home / "first").exists()
    assert (home / "done").exists()
    processes.apply(server.model_copy(update={"version": "2"}))
    assert not (home / "first").exists()


@pytest.mark.servers
def test_an_unfinished_first_start_is_set_aside(processes: Processes, describe: Describe, tmp_path: Path) -> None:
    home = tmp_path / "web"
    (home / "data").mkdir(parents=True)
    (home / "data" / "half").write_text("half")
    server = describe(started_once=str(home / "done"), unfinished=[str(home / "data")])
    refuses = "import os,sys; os.path.exists('data/half') and sys.exit('half'); os.execv(sys.argv[1],sys.argv[1:])"
    processes.apply(server.model_copy(update={"command": (sys.executable, "-c", refuses, *server.command)}))
    kept = [path for path in home.iterdir() if path.name.startswith("data.unfinished-")]
    assert [path.joinpath("half").read_text() for path in kept] == ["half"]


@pytest.mark.servers
def test_a_preparation_gets_its_secret_on_standard_input(
    processes: Processes, describe: Describe, tmp_path: Path
) -> None:
    script = "import sys; open('got','w').write(sys.stdin.read())"
    preparation = Preparation(command=(sys.executable, "-c", script), content="{{p}}", secrets={"p": "derived:test"})
    processes.apply(describe(preparations=[preparation]))
    assert len((tmp_path / "web" / "got").read_text()) == 43


@pytest.mark.servers
def test_a_failed_preparation_stops_the_start(processes: Processes, describe: Describe) -> None:
    preparation = Preparation(command=(sys.executable, "-c", "raise SystemExit('no database')"), content="")
    with pytest.raises(ServerError, match="preparation ended with 1") as caught:
        processes.apply(describe(preparations=[preparation]))
    assert "no database" in caught.value.detail
    assert processes.supervisor.program("web") is None
