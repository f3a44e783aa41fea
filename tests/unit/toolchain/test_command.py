from __future__ import annotations

import os
import threading
import time

import psutil
import pytest

from infra.core.error import ToolError
from infra.toolchain.command import LAST_LINES, Commands, StoppedError, output_of


def run(tmp_path, script, *, commands=None, timeout=10.0):
    (commands or Commands()).run(["sh", "-c", script], environ=os.environ, log=tmp_path / "log", timeout=timeout)


def until(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_output_goes_to_the_log(tmp_path):
    run(tmp_path, "echo out; echo err >&2")
    assert (tmp_path / "log").read_text() == "out\nerr\n"


def test_a_failure_shows_the_last_lines_without_credentials(tmp_path):
    with pytest.raises(ToolError, match=r"failed \(exit code 3\)") as caught:
        run(tmp_path, "seq 100; echo see https://me:hunter2@host/path; exit 3")
    assert caught.value.detail.splitlines()[-1] == "see https://***@host/path"
    assert len(caught.value.detail.splitlines()) == LAST_LINES
    assert "hunter2" not in str(caught.value)


def test_a_program_that_takes_too_long_is_given_up(tmp_path):
    with pytest.raises(ToolError, match="given up after 0 s"):
        run(tmp_path, "sleep 60", timeout=0.2)


def test_a_program_that_isnt_there(tmp_path):
    with pytest.raises(ToolError, match="can't be started: No such file"):
        Commands().run(["/absent"], environ={}, log=tmp_path / "log", timeout=1)


def test_stop_ends_a_program_with_its_children(tmp_path):
    commands, failures = Commands(), []

    def work():
        try:
            run(
                tmp_path,
                f"sleep 60 & echo $! > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; wait",
                commands=commands,
            )
        except ToolError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until((tmp_path / "pid").exists)
    child = int((tmp_path / "pid").read_text())
    assert alive(child)
    commands.stop()
    thread.join(5)
    assert isinstance(failures[0], StoppedError)
    until(lambda: not alive(child))
    with pytest.raises(StoppedError):
        run(tmp_path, "true", commands=commands)


def test_what_a_program_leaves_running_is_ended(tmp_path):
    run(tmp_path, f"sleep 60 & echo $! > {tmp_path}/pid")
    child = int((tmp_path / "pid").read_text())
    until(lambda: not alive(child))


def test_output_of():
    assert output_of(["sh", "-c", "echo v1 >&2"], os.environ) == "v1\n"
    assert output_of(["sh", "-c", "echo v1; exit 1"], os.environ) == ""
    assert output_of(["/absent"], os.environ) == ""
