"""The truth table once more, by a program of other people: gitlab-ci-local compiles every pipeline everywhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from infra.core.settings import ROOT
from pipelines.context import Occasion
from tests.oracles.gitlab_ci_local import ORIGIN, Oracle, command, git

HERE = Path(__file__).parent
TABLE = ROOT / "tests" / "golden" / "contexts"
PIPELINES = ROOT / "tests" / "golden" / "pipelines"
SERVICES = sorted(path.stem for path in PIPELINES.glob("*.yml"))
DIFFERENCES = YAML(typ="safe").load(HERE / "differences.yaml")
NEVER = "listed-although-never"


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """gitlab-ci-local in a repository of one commit."""
    command()
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Settle faster")
    git(folder, "remote", "add", "origin", ORIGIN)
    return Oracle(repository=folder)


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


def test_the_oracle_agrees_with_every_cell(oracle: Oracle) -> None:
    for service in SERVICES:
        shutil.copy(PIPELINES / f"{service}.yml", oracle.repository / f"{service}.yml")
    cells = [(service, occasion) for service in SERVICES for occasion in Occasion]
    assert len(cells) == 60
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda cell: oracle.listed(f"{cell[0]}.yml", cell[1]), cells))
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
