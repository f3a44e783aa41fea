"""The real GitLab Runner, registered for a project and running; and waiting for what it makes of pipelines."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.core.settings import load_settings


def binary() -> Path:
    """The runner's program; the test is skipped where it is not installed."""
    cache = load_settings(os.environ).cache
    found = sorted((cache / "tools" / "gitlab-runner").glob("*/bin/gitlab-runner"))
    if not found:
        pytest.skip("the GitLab Runner is not in the tools cache: run `forgeline up` or the toolchain first")
    return found[-1]


@dataclass(frozen=True)
class RealRunner:
    """A registered runner that runs."""

    id: int
    config: Path
    environment: dict[str, str]

    def call(self, *arguments: str) -> None:
        """Call the runner's program on the same configuration; it must succeed."""
        command = [str(binary()), *arguments, "--config", str(self.config)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


@contextmanager
def running(server: Any, project: dict[str, Any], folder: Path) -> Iterator[RealRunner]:
    """Register the real runner for the project, with four jobs at once, and run it."""
    made = server.post("/user/runners", runner_type="project_type", project_id=project["id"])
    home = folder / "home"
    home.mkdir()
    runner = RealRunner(made["id"], folder / "config.toml", {"PATH": os.environ["PATH"], "HOME": str(home)})
    folders = ("--builds-dir", str(folder / "builds"), "--cache-dir", str(folder / "cache"))
    runner.call(
        "register", "--non-interactive", "--url", server.url, "--token", made["token"], "--executor", "shell", *folders
    )
    text = runner.config.read_text().replace("check_interval = 0", "check_interval = 1")
    runner.config.write_text(text.replace("concurrent = 1", "concurrent = 4"))
    with (folder / "runner.log").open("wb") as log:
        command = [str(binary()), "run", "--config", str(runner.config), "--working-directory", str(folder)]
        process = subprocess.Popen(command, env=runner.environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield runner
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait(server: Any, project: int, until: Callable[[dict[str, Any]], bool], seconds: float = 240) -> dict[str, Any]:
    """The project's newest pipeline, once `until` holds; else fails with the jobs and the ends of their logs."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        [latest, *_] = server.pipelines(project)
        if until(latest):
            return dict(latest)
        time.sleep(0.2)
    states = server.states(project, latest["id"])
    logs = "\n".join(f"--- {name}\n{log_of(server, project, latest['id'], name)[-3000:]}" for name in states)
    raise AssertionError(f"{latest['status']} {states}\n{logs}")


def log_of(server: Any, project: int, pipeline: int, name: str) -> str:
    """A job's log."""
    job = server.jobs(project, pipeline)[name]
    return str(server.api.get(f"/projects/{project}/jobs/{job['id']}/trace").text)
