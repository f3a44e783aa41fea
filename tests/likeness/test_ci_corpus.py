"""The corpus of the CI language: our reading of it and gitlab-ci-local's agree, or the difference is explained."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.likeness.ci_corpus import CORPUS, REFUSED, cases, disagreements, ours, prepared, theirs
from tests.likeness.conftest import Score, record
from tests.oracles.gitlab_ci_local import command

DIFFERENCES = yaml.safe_load((CORPUS / "differences.yaml").read_text(encoding="utf-8"))
EXPLAINED = {line for difference in DIFFERENCES for line in difference["lines"]}


def test_both_read_the_corpus_alike(tmp_path: Path) -> None:
    command()
    oracle = prepared(tmp_path)
    wanted = cases()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda case: theirs(oracle, case), wanted))
    found = {
        case.id: [f"{case.id}: {line}" for line in disagreements(ours(case), answer)]
        for case, answer in zip(wanted, answers, strict=True)
    }
    lines = {line for each in found.values() for line in each}
    record(
        Score(
            oracle="gitlab-ci-local: one rule a case",
            cases=len(found),
            agreeing=sum(not each for each in found.values()),
            explained=sum(bool(each) and set(each) <= EXPLAINED for each in found.values()),
        )
    )
    assert sorted(lines - EXPLAINED) == []
    assert sorted(EXPLAINED - lines) == [], "differences that are no longer met"


def test_every_case_says_which_rule_it_is_about() -> None:
    rules = {case.name: (case.rule, case.page) for case in cases()}
    assert len(rules) >= 60
    assert all(rule and page for rule, page in rules.values())
    assert len({rule for rule, _ in rules.values()}) == len(rules)


def test_every_difference_is_explained() -> None:
    names = {case.id for case in cases()}
    assert all(difference["what"] and difference["page"] for difference in DIFFERENCES)
    assert {line.partition(": ")[0] for line in EXPLAINED} <= names


BUILD = {"stage": "build", "when": "manual", "allow_failure": True, "needs": [["a", True]], "values": {"A": "1"}}


@pytest.mark.parametrize(
    ("other", "told"),
    [
        pytest.param({"build": BUILD}, "", id="the-same"),
        pytest.param({}, "build: only we have it", id="missing"),
        pytest.param({"build": BUILD, "more": BUILD}, "more: only gitlab-ci-local has it", id="too-many"),
        pytest.param({"build": {**BUILD, "when": "always"}}, "when: we say manual", id="when"),
        pytest.param({"build": {**BUILD, "needs": [["a", False]]}}, "needs: we say [['a', True]]", id="needs"),
        pytest.param({"build": {**BUILD, "values": {"A": "2"}}}, "values: we say {'A': '1'}", id="values"),
        pytest.param(REFUSED, "we: taken, gitlab-ci-local: refused", id="refused"),
    ],
)
def test_a_disagreement_is_seen(other: Mapping[str, Any] | str, told: str) -> None:
    found = disagreements({"build": BUILD}, other if isinstance(other, str) else dict(other))
    assert [told in each for each in found] == ([True] if told else [])
