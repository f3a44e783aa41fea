"""One changing run at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from infra.core.error import ServerError
from infra.core.progress import Silent
from infra.core.settings import load_settings
from infra.operations.run_lock import only_run

HOLD = """
import sys, os
from infra.core.settings import load_settings
from infra.operations.run_lock import only_run
with only_run(load_settings(os.environ)):
    print("held", flush=True)
    sys.stdin.read()
"""


def holding(environ: dict[str, str]) -> subprocess.Popen[str]:
    """Another run, which goes on until it is killed."""
    command = [sys.executable, "-c", HOLD]
    return subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_run_is_told_who_is_at_work_and_a_killed_one_is_forgotten(tmp_path: Path) -> None:
    environ = {**os.environ, "FORGELINE_PROFILE": "lab", "FORGELINE_STATE": str(tmp_path / "state")}
    settings = load_settings(environ)
    with holding(environ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ServerError, match=f"process {other.pid}"), only_run(settings):
            pass
        other.kill()
    with only_run(settings):
        assert stat.S_IMODE(settings.state.stat().st_mode) == 0o700


def test_one_that_has_patience_waits_for_its_turn_and_says_so(tmp_path: Path) -> None:
    environ = {**os.environ, "FORGELINE_PROFILE": "lab", "FORGELINE_STATE": str(tmp_path / "state")}
    settings = load_settings(environ)
    told: list[str] = []

    class Told(Silent):
        def start(self, item: str, doing: str) -> None:
            told.append(doing)
            other.kill()

    with holding(environ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        said = rf"still at work here after 1 s \(process {other.pid}\)"
        with pytest.raises(ServerError, match=said), only_run(settings, patience=1):
            pass
        with only_run(settings, patience=60, progress=Told()):
            assert told == [f"waiting for another forgeline run (process {other.pid})"]
