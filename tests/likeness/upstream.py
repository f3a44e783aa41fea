"""python-gitlab's own functional tests: fetched by name, version and hash, and run against a server."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOCK = HERE / "python_gitlab.lock"
FREE = "not gitlab_premium and not gitlab_ultimate"
LONGEST = 900
"""Seconds that a run may take."""


class Outcome(StrEnum):
    """What came of a test."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One of their tests."""

    name: str
    outcome: Outcome
    text: str
    """What it said when it failed."""


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """What was fetched: the unpacked source, and a folder of the packages that only their tests need."""

    source: Path
    site: Path

    @classmethod
    def fetch(cls, cache: Path) -> Upstream:
        """From the cache, or else with pip, which needs a package registry once."""
        digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
        folder = cache / "likeness" / digest
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(dir=folder.parent))
            _download(draft)
            draft.replace(folder)
        return cls(source=folder / "source", site=folder / "site")

    def run(self, part: str, *, url: str, token: str, runner: Path | None, folder: Path) -> list[Case]:
        """Their tests below `functional/PART` against the server at `url`, which they empty first."""
        source = folder / "source"
        shutil.copytree(self.source, source)
        line = "\nfrom upstream_plugin import gitlab_runner, gitlab_token, gitlab_url, temp_dir  # noqa: F401\n"
        for place in ("api", "cli"):
            with (source / "tests/functional" / place / "conftest.py").open("a") as conftest:
                conftest.write(line)
        record = folder / "record.jsonl"
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join([str(self.site), str(HERE)]),
            "LIKENESS_URL": url,
            "LIKENESS_TOKEN": token,
            "LIKENESS_RECORD": str(record),
            "LIKENESS_RUNNER": str(runner or ""),
        }
        plugins = [
            "-p",
            "upstream_plugin",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:testinfra",
            "--basetemp",
            str(folder / "tmp"),
        ]
        with (folder / "output.txt").open("wb") as output:
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pytest",
                    *plugins,
                    "-q",
                    "--script-launch-mode=subprocess",
                    "-m",
                    FREE,
                    # anyio runs a test once for each loop that happens to be installed.
                    "-k",
                    "not trio",
                    f"tests/functional/{part}",
                ],
                cwd=source,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=LONGEST,
                check=False,
            )
        if not record.exists():
            raise AssertionError(f"python-gitlab's tests did not start:\n{(folder / 'output.txt').read_text()[-3000:]}")
        return cases([json.loads(each) for each in record.read_text().splitlines()])


def cases(lines: list[dict[str, Any]]) -> list[Case]:
    """One case a test from the plugin's record: failed if any of its phases did."""
    phases: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        phases[line["test"]].append(line)
    found = []
    for name, rows in phases.items():
        outcomes = {row["outcome"] for row in rows}
        outcome = next(each for each in (Outcome.FAILED, Outcome.SKIPPED, Outcome.PASSED) if each in outcomes)
        text = "\n".join(row["text"] for row in rows if row["outcome"] == Outcome.FAILED)
        found.append(Case(name=name, outcome=outcome, text=text))
    return found


def _download(folder: Path) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-deps"]
    wheels, packages = folder / "sdist", LOCK.read_text().split("\npytest-console-scripts", 1)
    for name, text in (("source", packages[0]), ("site", "pytest-console-scripts" + packages[1])):
        (folder / f"{name}.txt").write_text(text)
    pip = [sys.executable, "-m", "pip"]
    wanted = ["--no-binary", "python-gitlab", "--requirement", str(folder / "source.txt")]
    subprocess.run([*pip, "download", *quiet, "--dest", str(wheels), *wanted], check=True)
    wanted = ["--target", str(folder / "site"), "--require-hashes", "--requirement", str(folder / "site.txt")]
    subprocess.run([*pip, "install", *quiet, *wanted], check=True)
    [archive] = wheels.glob("*.tar.gz")
    with tarfile.open(archive) as unpacked:
        unpacked.extractall(folder / "unpacked", filter="data")
    [top] = (folder / "unpacked").iterdir()
    kept = folder / "source"
    kept.mkdir()
    # Without their package: their tests use the installed one, which is the same version.
    shutil.copytree(top / "tests", kept / "tests")
    shutil.copy(top / "pyproject.toml", kept)
    shutil.rmtree(folder / "unpacked")
    shutil.rmtree(wheels)
