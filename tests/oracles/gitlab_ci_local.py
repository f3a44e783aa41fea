"""gitlab-ci-local, a program of other people that reads the CI language, and what is asked of it.

It is installed from its lock file into Forgeline's cache, and needs Node 22, which is installed there too where the
system's is older. Where no npm registry can be reached and it is not there yet, the tests are skipped, and say so.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.core.error import ToolError
from infra.core.settings import load_settings
from infra.toolchain.pin import load_pins
from infra.toolchain.toolchain import Toolchain
from pipelines.context import Occasion, occasion_context

HERE = Path(__file__).parent
ORIGIN = "git@gitlab.example.com:trading/service.git"

_IDENTITY = ("-c", "user.name=Forgeline", "-c", "user.email=forgeline@example.com", "-c", "commit.gpgsign=false")
_ASKED = ("CI_COMMIT", "CI_DEFAULT", "CI_MERGE_REQUEST", "CI_OPEN_MERGE_REQUESTS", "CI_PIPELINE_SOURCE")
_EITHER = ("CI_COMMIT_BRANCH", "CI_COMMIT_TAG")
_LINE = re.compile(r" > (\w+)=(.*)$", re.MULTILINE)


class RefusedError(Exception):
    """It does not take the configuration."""


@cache
def _node() -> Path:
    """A Node of at least version 22: the pinned one, since the system's may be older."""
    pins = load_pins()
    pinned = pins.tools["node"].model_copy(update={"system": None})
    only_pinned = pins.model_copy(update={"tools": {**pins.tools, "node": pinned}})
    toolchain = Toolchain(cache=load_settings(os.environ).cache, environ=os.environ, pins=only_pinned)
    try:
        return toolchain.ensure(["node"])["node"].path
    except ToolError as error:
        pytest.skip(f"no Node 22 can be had: {error.what}")


@cache
def command() -> list[str]:
    """The command, which is installed if it is not there; where that can't be done the test is skipped."""
    node = _node()
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = load_settings(os.environ).cache / "oracles" / lock
    if not (folder / "node_modules" / "gitlab-ci-local").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = folder.with_name(f"{lock}.{os.getpid()}")
        shutil.copytree(HERE, new, ignore=shutil.ignore_patterns("*.py", "*.yaml", "__pycache__"))
        npm = [str(node), str(node.resolve().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        install = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(install, cwd=new, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            shutil.rmtree(new)
            pytest.skip(f"gitlab-ci-local can't be installed: {done.stderr.strip()[-300:]}")
        try:
            new.rename(folder)
        except OSError:
            shutil.rmtree(new)  # Another run was quicker.
    package = folder / "node_modules" / "gitlab-ci-local"
    program = json.loads((package / "package.json").read_text(encoding="utf-8"))["bin"]
    return [str(node), str(package / (program if isinstance(program, str) else program["gitlab-ci-local"]))]


def git(folder: Path, *words: str) -> None:
    """One git command in a folder, as a person without settings."""
    subprocess.run(["git", "-C", str(folder), *_IDENTITY, *words], check=True, capture_output=True)


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """The command in a repository: it wants one with a commit and a remote around every file."""

    repository: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """What its process gets beside this one's environment."""

    def listed(self, file: str, occasion: Occasion, *more: str) -> list[dict[str, Any]]:
        """The jobs that it makes of a file of the repository on an occasion. Raises RefusedError."""
        output = self._run(file, occasion, "--list-json", *more)
        found: list[dict[str, Any]] = json.loads(output[output.index("[") :])
        return found

    def values(self, file: str, occasion: Occasion, job: str, *more: str) -> dict[str, str]:
        """The environment of a job that runs `env` in a shell. Raises RefusedError."""
        return dict(_LINE.findall(self._run(file, occasion, "--force-shell-executor", job, *more)))

    def _run(self, file: str, occasion: Occasion, *words: str) -> str:
        known = {one.key: one.value for one in occasion_context(occasion).predefined if one.key.startswith(_ASKED)}
        variables = [word for name, value in known.items() for word in ("--variable", f"{name}={value}")]
        absent = [word for name in _EITHER if name not in known for word in ("--unset-variable", name)]
        state = f".state-{Path(file).stem}-{occasion}-{hashlib.sha256(repr(words).encode()).hexdigest()[:8]}"
        options = ["--file", file, "--state-dir", state, "--ignore-predefined-vars", ",".join(known)]
        done = subprocess.run(
            [*command(), *words, *options, *variables, *absent],
            cwd=self.repository,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RefusedError(done.stderr.strip())
        return done.stdout
