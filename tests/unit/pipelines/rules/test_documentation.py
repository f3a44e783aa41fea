"""The tables of docs/proofs.md are those of the registry."""

from __future__ import annotations

import re

import pytest

from infra.core.settings import ROOT
from pipelines.rules.registry import ALL_RULES

PAGE = ROOT / "docs" / "proofs.md"


def table(*, standard: bool) -> str:
    rows = [
        f"| `{rule.id}` | {rule.severity} | {rule.summary} | {rule.remedy} |".replace("||", "\\|\\|")
        for rule in ALL_RULES
        if rule.standard is standard
    ]
    return "\n".join(["| rule | weight | what must be true | remedy |", "| --- | --- | --- | --- |", *rows])


def test_the_tables_are_those_of_the_registry(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text(encoding="utf-8")
    made = text
    for name, standard in (("general", False), ("standard", True)):
        block = f"<!-- rules: {name} -->\n{table(standard=standard)}\n<!-- end -->"
        made, number = re.subn(rf"<!-- rules: {name} -->\n.*?<!-- end -->", lambda _, b=block: b, made, flags=re.S)
        assert number == 1
    if request.config.getoption("--update-golden"):
        PAGE.write_text(made, encoding="utf-8")
        text = made
    assert text == made, f"{PAGE} is stale; pytest --update-golden writes it anew"
