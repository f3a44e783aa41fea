"""The truth table once more, by a program of other people: gitlab-ci-local compiles every pipeline on every occasion.

It is installed from its lock file into Forgeline's cache, and needs Node 22, which is installed there too where the
system's is older. Where no npm registry can be reached and it is not there yet, the tests are skipped, and say so.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from infra.core.error import ToolError
from infra.core.settings import ROOT, load_settings
from infra.toolchain.pin import load_pins
from infra.toolchain.toolchain import Toolchain
from pipelines.context import Occasion, occasion_context

HERE = Path(__file__).parent
TABLE = ROOT / "tests" / "golden" / "contexts"
PIPELINES = ROOT / "tests" / "golden" / "pipelines"
SERVICES = sorted(path.stem for path in PIPELINES.glob("*.yml"))
DIFFERENCES = YAML(typ="safe").load(HERE / "differences.yaml")
NEVER = "listed-although-never"

_ASKED = ("CI_COMMIT", "CI_DEFAULT", "CI_MERGE_REQUEST", "CI_OPEN_MERGE_REQUESTS", "CI_PIPELINE_SOURCE")
_EITHER = ("CI_COMMIT_BRANCH", "CI_COMMIT_TAG")


@pytest.fixture(scope="session")
def node() -> Path:
    """A Node of at least version 22: the pinned one, since the system's may be older."""
    pins = load_pins()
    pinned = pins.tools["node"].model_copy(update={"system": None})
    only_pinned = pins.model_copy(update={"tools": {**pins.tools, "node": pinned}})
    toolchain = Toolchain(cache=load_settings(os.environ).cache, environ=os.environ, pins=only_pinned)
    try:
        return toolchain.ensure(["node"])["node"].path
    except ToolError as error:
        pytest.skip(f"no Node 22 can be had: {error.what}")


@pytest.fixture(scope="session")
def oracle(node: Path) -> list[str]:
    """The command of gitlab-ci-local."""
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = load_settings(os.environ).cache / "oracles" / lock
    if not (folder / "node_modules" / "gitlab-ci-local").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = folder.with_name(f"{lock}.{os.getpid()}")
        shutil.copytree(HERE, new, ignore=shutil.ignore_patterns("*.py", "*.yaml", "__pycache__"))
        npm = [str(node), str(node.resolve().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
        command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=new, capture_output=True, text=True, timeout=300, check=False)
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


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit, as gitlab-ci-local wants one around every file."""
    folder = tmp_path_factory.mktemp("repository")
    identity = ["-c", "user.name=Forgeline", "-c", "user.email=forgeline@example.com", "-c", "commit.gpgsign=false"]
    for command in (
        ["init", "-q", "-b", "main"],
        [*identity, "commit", "-q", "--allow-empty", "-m", "Settle faster"],
        ["remote", "add", "origin", "git@gitlab.example.com:trading/service.git"],
    ):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder


def listed(oracle: list[str], repository: Path, file: str, occasion: Occasion) -> list[dict[str, Any]]:
    """What gitlab-ci-local makes of a file of the repository on an occasion."""
    values = {one.key: one.value for one in occasion_context(occasion).predefined if one.key.startswith(_ASKED)}
    values = {**dict.fromkeys(_EITHER, ""), **values}
    variables = [word for name, value in values.items() for word in ("--variable", f"{name}={value}")]
    command = [*oracle, "--list-json", "--file", file, "--ignore-predefined-vars", ",".join(values), *variables]
    state = f".state-{Path(file).stem}-{occasion}"
    done = subprocess.run(
        [*command, "--state-dir", state], cwd=repository, capture_output=True, text=True, timeout=120, check=True
    )
    found: list[dict[str, Any]] = json.loads(done.stdout[done.stdout.index("[") :])
    return found


def compared(jobs: list[dict[str, Any]], table: Mapping[str, Any]) -> tuple[list[str], set[str]]:
    """What disagrees with the table, and which of the named differences were met."""
    met = {NEVER for job in jobs if job["when"] == "never"}
    theirs = {
        job["name"]: {
            "when": job["when"],
            "allow_failure": job["allow_failure"],
            "needs": None if job["needs"] is None else sorted(need["job"] for need in job["needs"]),
        }
        for job in jobs
        if job["when"] != "never"
    }
    wrong = []
    for name in sorted({*theirs, *table}):
        ours = table.get(name)
        if ours is not None and ours["needs"] is not None:
            ours = {**ours, "needs": sorted(ours["needs"])}
        if ours != theirs.get(name):
            wrong.append(f"{name}: we say {ours}, gitlab-ci-local says {theirs.get(name)}")
    return wrong, met


def test_the_oracle_agrees_with_every_cell(oracle: list[str], repository: Path) -> None:
    for service in SERVICES:
        shutil.copy(PIPELINES / f"{service}.yml", repository / f"{service}.yml")
    cells = [(service, occasion) for service in SERVICES for occasion in Occasion]
    assert len(cells) == 60
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda cell: listed(oracle, repository, f"{cell[0]}.yml", cell[1]), cells))
    wrong, met = [], set()
    for (service, occasion), jobs in zip(cells, answers, strict=True):
        table = json.loads((TABLE / f"{service}.json").read_text(encoding="utf-8"))[occasion]["jobs"]
        disagreements, differences = compared(jobs, table)
        wrong += [f"{service} on {occasion}: {one}" for one in disagreements]
        met |= differences
    assert wrong == []
    assert met == set(DIFFERENCES), "differences that are no longer met"


def test_a_disagreement_is_seen() -> None:
    jobs = [{"name": "a", "when": "on_success", "allow_failure": False, "needs": [{"job": "b"}]}]
    agreeing = {"a": {"when": "on_success", "allow_failure": False, "needs": ["b"]}}
    assert compared(jobs, agreeing) == ([], set())
    assert compared(jobs, {})[0]
    assert compared([], agreeing)[0]
    assert compared(jobs, {"a": {**agreeing["a"], "needs": None}})[0]
    assert compared([{**jobs[0], "when": "never"}], {}) == ([], {NEVER})


def test_every_difference_is_explained() -> None:
    for difference in DIFFERENCES.values():
        assert difference["what"]
        assert difference["reference"].startswith("https://docs.gitlab.com/")
