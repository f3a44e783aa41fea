"""A service's repository in which jobs of its pipeline run with their real tools, for the tests of gates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.core.settings import load_settings
from infra.toolchain.toolchain import JOB_TOOLS, Toolchain
from pipelines.catalogue import Language, Service, load_catalogue
from pipelines.render import Context, render_pipeline
from pipelines.skeleton import render_skeleton
from pipelines.subject import Subject

CATALOGUE = load_catalogue()
SETTINGS = load_settings(os.environ, profile="lab")
CONTEXT = Context.of(CATALOGUE, SETTINGS)
GENERIC = CATALOGUE.service("market-data").model_copy(update={"name": "quotes", "language": Language.GENERIC})
SERVICES = {
    "generic": GENERIC,
    "go": CATALOGUE.service("market-data"),
    "java": CATALOGUE.service("settlement"),
    "node": CATALOGUE.service("client-reporting"),
    "python": CATALOGUE.service("fund-valuation"),
}

# Maven as it is set up on this machine, instead of by way of a Nexus that isn't there.
MVN = """#!/bin/bash
words=()
while [ $# -gt 0 ]; do
  case "$1" in
    -s) shift ;;
    -Dmaven.repo.local=*) ;;
    *) words+=("$1") ;;
  esac
  shift
done
exec {real} "${{words[@]}}"
"""
BAO = """#!/bin/bash
case "$1" in
  write) cat > /dev/null; echo token ;;
  read) echo '{"data": {"username": "user", "password": "word"}}' ;;
esac
"""


@dataclass(frozen=True)
class Repository:
    """A service's repository with one commit, and jobs run in it as the shell executor does."""

    service: Service
    folder: Path
    path: str

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            (self.folder / name).chmod(0o755)

    def commit(self) -> None:
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
        for command in (["add", "-A"], ["commit", "-q", "-m", "Change"]):
            subprocess.run([*git, *command], cwd=self.folder, check=True)

    def run(self, job: str, *, service: Service | None = None) -> tuple[int, str]:
        """Exit code and output of the job."""
        subject = Subject(file="x.yml", text=render_pipeline(service or self.service, CONTEXT))
        done = subprocess.run(
            ["bash", "-c", 'set -eo pipefail; : | eval "$SCRIPT"'],
            cwd=self.folder,
            env={**self._environment(), "SCRIPT": subject.script(job).text},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def use(self, *command: str) -> None:
        """Runs a tool of the language as its developer would."""
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment(), capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def _environment(self) -> Mapping[str, str]:
        return {
            **{name: os.environ[name] for name in os.environ if not name.startswith(("FORGELINE_", "GIT_", "PYTEST_"))},
            "PATH": self.path,
            "FORGELINE_CACHE": str(SETTINGS.cache),
            "VERSION": "1.0.7",
            "CI_PROJECT_DIR": str(self.folder),
            "OPENBAO_ADDR": "http://127.0.0.1:9",
            "OPENBAO_ID_TOKEN": "x",
        }


def open_repository(language: str, folder: Path) -> Repository:
    tools = folder / "bin"
    (folder / "project").mkdir()
    tools.mkdir()
    real = shutil.which("mvn")
    for name, text in (("bao", BAO), ("mvn", MVN.format(real=real))):
        (tools / name).write_text(text, encoding="utf-8")
        (tools / name).chmod(0o755)
    if language == "java" and real is None:
        pytest.skip("there is no mvn on this machine")
    installed = {name: Toolchain.of(SETTINGS, os.environ).find(name) for name in JOB_TOOLS}
    missing = sorted(name for name, tool in installed.items() if tool is None)
    if missing:
        pytest.skip(f"these tools are not installed: {', '.join(missing)}; run `make tools`")
    folders = [str(tools), str(Path(sys.executable).parent)]
    folders += [str(tool.path.parent) for tool in installed.values() if tool is not None]
    repository = Repository(SERVICES[language], folder / "project", ":".join([*folders, os.environ["PATH"]]))
    for name, text in render_skeleton(SERVICES[language]).items():
        repository.write(name, text)
    subprocess.run(["git", "init", "-q"], cwd=repository.folder, check=True)
    repository.commit()
    return repository
