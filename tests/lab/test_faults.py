"""What goes wrong on a real machine: ports taken, a server that dies, Ctrl-C, a kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.core.error import ExitCode
from tests.trial import FORGELINE, Stack, stack

pytestmark = pytest.mark.lab


@pytest.fixture
def trial() -> Iterator[Stack]:
    """A stack for one test."""
    with stack() as made:
        yield made


def test_a_port_in_use_stops_before_anything_is_touched(trial: Stack) -> None:
    port = trial.settings.profile.ports.nexus
    with socket.create_server(("127.0.0.1", port)):
        result = trial.run("up", expect=ExitCode.SERVER_FAILED)
    assert f"port {port} (nexus): in use by" in result.stderr
    assert f"pid {os.getpid()}" in result.stderr
    assert "ports.nexus" in result.stderr
    assert {path.name for path in trial.settings.state.iterdir()} <= {"run.lock"}


def test_a_broken_profile_touches_nothing(trial: Stack) -> None:
    profile = trial.settings.profile_file
    state = trial.settings.state
    text = profile.read_text()
    profile.write_text(text.replace("nexus:", "nexsus:"))
    result = trial.run("up", expect=ExitCode.BAD_INPUT)
    profile.write_text(text)
    assert f"{profile}:2:" in result.stderr
    assert "did you mean 'nexus'" in result.stderr
    assert not state.exists()


def test_a_server_that_dies_is_told_with_its_last_lines(trial: Stack, tmp_path: Path) -> None:
    program = tmp_path / "nexus" / "bin" / "nexus"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho starting\necho 'the disk is on fire' >&2\nexit 1\n")
    program.chmod(0o755)
    profile = trial.settings.profile_file
    profile.write_text(profile.read_text() + f"nexus_home: {tmp_path / 'nexus'}\n")
    result = trial.run("up", expect=ExitCode.SERVER_FAILED)
    error = result.stderr.partition("error:")[2]
    assert "nexus" in error
    assert "the disk is on fire" in error
    assert "fix:" in error
    assert "Traceback" not in result.stderr


def interrupted(trial: Stack, after: str, number: int) -> int:
    """Start `up`, send the signal when the output has `after`, and return the exit code."""
    with subprocess.Popen(
        [str(FORGELINE), "up"], env=trial.environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if after in line:
                break
        time.sleep(1)
        run.send_signal(number)
        run.stderr.read()
        return run.wait(timeout=120)


def test_a_run_that_was_stopped_or_killed_is_finished_by_the_next(trial: Stack) -> None:
    assert interrupted(trial, "foundation", signal.SIGINT) == ExitCode.INTERRUPTED
    assert interrupted(trial, "platform", signal.SIGKILL) == -signal.SIGKILL
    trial.run("up")
    assert all(server["healthy"] for server in trial.json("status")["servers"])
    assert trial.json("drift") == []
