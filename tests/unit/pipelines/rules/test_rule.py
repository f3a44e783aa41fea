"""Every rule has an example that it passes and one that it fails, found by folder: adding a case is adding a folder.

A case is a `.gitlab-ci.yml` with what lies beside it, or, for the rules of the standard, a `change.json` of a rendered
pipeline: `{"from": "market-data.yml", "changes": [["old", "new"], …]}`. A failing one has an `expected.json`: the rule
and the line, as a number or as a part of its text.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.core.finding import Finding
from infra.core.settings import ROOT
from pipelines.repository import Beside
from pipelines.rules.registry import ALL_RULES
from pipelines.subject import Subject

CASES = Path(__file__).parent / "cases"
GOLDEN = ROOT / "tests" / "golden" / "pipelines"
RULES = {rule.id: rule for rule in ALL_RULES}
FOLDERS = sorted(folder for folder in CASES.glob("*/*") if folder.is_dir())


def subject(folder: Path) -> Subject:
    change = folder / "change.json"
    if not change.exists():
        file = folder / ".gitlab-ci.yml"
        beside = Beside(file)
        beside.root = folder
        return Subject(file=file.name, text=file.read_text(encoding="utf-8"), files=beside)
    wanted = json.loads(change.read_text(encoding="utf-8"))
    text = (GOLDEN / wanted["from"]).read_text(encoding="utf-8")
    for old, new in wanted["changes"]:
        assert old in text, f"{wanted['from']} has no {old!r} any more"
        text = text.replace(old, new, 1)
    return Subject(file=wanted["from"], text=text, standard=True)


def found(folder: Path) -> tuple[Subject, list[Finding]]:
    looked_at = subject(folder)
    return looked_at, list(RULES[folder.parent.name].findings(looked_at))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_case(folder: Path) -> None:
    looked_at, findings = found(folder)
    if folder.name.startswith("pass"):
        assert findings == []
        return
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    assert expected["rule"] == folder.parent.name
    assert findings, "the rule found nothing"
    lines = looked_at.text.splitlines()
    for finding in findings:
        assert finding.line > 0
        assert finding.fix
        assert finding.message
    if isinstance(expected["line"], int):
        assert expected["line"] in [finding.line for finding in findings], findings
    else:
        assert any(expected["line"] in lines[finding.line - 1] for finding in findings), findings


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_has_cases(rule: str) -> None:
    names = [folder.name for folder in FOLDERS if folder.parent.name == rule]
    assert any(name.startswith("pass") for name in names)
    assert any(name.startswith("fail") for name in names)


def test_no_case_is_left_over() -> None:
    assert {folder.parent.name for folder in FOLDERS} <= set(RULES)


def test_rules_are_told_apart_and_say_what_they_are_about() -> None:
    assert len({rule.id for rule in ALL_RULES}) == len(ALL_RULES)
    assert len({rule.find for rule in ALL_RULES}) == len(ALL_RULES)
    for rule in ALL_RULES:
        assert rule.summary.endswith("."), rule.id
        assert rule.remedy, rule.id
