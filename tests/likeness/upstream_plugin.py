"""Loaded into the run of python-gitlab's own tests: our fixtures in place of its containers, and a record of outcomes.

It runs in that pytest's process, with nothing of this project in reach but this file.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LONGEST_SLEEP = 0.05
"""Seconds. The tests wait for a server that does its work in the background; this one answers when it is done."""

_sleep = time.sleep


def pytest_configure(config: pytest.Config) -> None:
    """Shorten all waiting."""
    time.sleep = lambda seconds: _sleep(min(seconds, LONGEST_SLEEP))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down what came of each phase of a test."""
    captured = [text for _, text in report.sections] if report.failed else []
    line = {
        "test": report.nodeid.removeprefix("tests/functional/"),
        "phase": report.when,
        "outcome": report.outcome,
        "seconds": report.duration,
        "text": "\n".join([str(report.longrepr or ""), *captured]),
    }
    with Path(os.environ["LIKENESS_RECORD"]).open("a") as record:
        record.write(json.dumps(line) + "\n")


@pytest.fixture(scope="session")
def gitlab_url() -> str:
    """The server under test."""
    return os.environ["LIKENESS_URL"]


@pytest.fixture(scope="session")
def gitlab_token() -> str:
    """An administrator's token."""
    return os.environ["LIKENESS_TOKEN"]


@pytest.fixture(scope="session")
def temp_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this run's own, where theirs is the machine's."""
    return tmp_path_factory.mktemp("upstream")


@pytest.fixture(scope="session")
def gitlab_runner(gl: Any, gitlab_url: str, temp_dir: Path) -> Iterator[str]:
    """The real GitLab Runner with its shell executor."""
    if not os.environ.get("LIKENESS_RUNNER"):
        pytest.skip("the GitLab Runner is not in the tools cache: run `forgeline tools`")
    runner = gl.user.runners.create({"runner_type": "instance_type", "run_untagged": True})
    config = temp_dir / "config.toml"
    config.write_text(
        f'check_interval = 1\n[[runners]]\nurl = "{gitlab_url}"\ntoken = "{runner.token}"\nexecutor = "shell"\n'
        f'builds_dir = "{temp_dir}/builds"\ncache_dir = "{temp_dir}/cache"\n'
    )
    command = [os.environ["LIKENESS_RUNNER"], "run", "--config", str(config), "--working-directory", str(temp_dir)]
    with (temp_dir / "runner.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        yield ""
        process.terminate()
        process.wait(timeout=30)
    gl.runners.delete(token=runner.token)
