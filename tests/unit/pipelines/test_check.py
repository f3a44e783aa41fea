"""Each rule finds nothing in the ten pipelines, and finds its own fault where one is planted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra.core.settings import load_settings
from pipelines import check
from pipelines.catalogue import load_catalogue
from pipelines.check import RULES, check_pipelines
from pipelines.render import LOCK, Context, render_release

CATALOGUE = load_catalogue()
RELEASE = {
    path: text
    for path, text in render_release(CATALOGUE, Context.of(CATALOGUE, load_settings({}))).items()
    if path != LOCK
}


def change(old: str, new: str, count: int = 1) -> Callable[[str], str]:
    def changed(text: str) -> str:
        assert old in text
        return text.replace(old, new, count)

    return changed


FAULTS: list[tuple[str, Callable[[str], str], str]] = [
    ("yaml", change("stages:", "stages: ["), "is not valid YAML"),
    ("stages-are-declared", change("stage: quality", "stage: qualty"), "'qualty'"),
    ("needs-exist", change("needs: [build]", "needs: [biuld]"), "'biuld'"),
    ("needs-are-earlier", change("needs: [validate]", "needs: [package]"), "later stage 'package'"),
    ("needs-are-earlier", change("needs: []", "needs: [validate]"), "needs itself"),
    ("jobs-have-a-script", change("\nbuild:\n", "\nidle:\n  stage: build\n  before_script: []\n\nbuild:\n"), "'idle'"),
    ("artifacts-pass-the-gates", change("    - job: unit-test\n      artifacts: false\n", ""), "'unit-test'"),
    ("artifacts-pass-the-gates", change("- job: lint\n", "- job: lint\n      optional: true\n"), "'lint'"),
    ("deployments-are-of-what-is-published", change("    - job: publish\n", "    - job: package\n"), "'deploy-dev'"),
    ("gates-are-not-weakened", change("unit-test:\n", "unit-test:\n  allow_failure: true\n"), "allowed to fail"),
    ("gates-are-not-weakened", change("\nlint:\n", "\nlint:\n  when: manual\n"), "when: manual"),
    ("gates-are-not-weakened", change("\nlint:\n", "\nlint:\n  rules: [{when: never}]\n"), "rules of its own"),
    ("scripts-are-bash", change("go vet ./...", "if go vet"), "syntax error"),
    ("scripts-pass-shellcheck", change("go vet ./...", "go vet $packages"), "SC2086"),
]


def test_the_ten_pipelines_have_no_finding() -> None:
    assert check_pipelines(RELEASE) == []


@pytest.mark.parametrize(("rule", "fault", "message"), FAULTS, ids=[f"{r}: {m}" for r, _, m in FAULTS])
def test_a_planted_fault_is_found(rule: str, fault: Callable[[str], str], message: str) -> None:
    good = RELEASE["market-data.yml"]
    bad = fault(good)
    found = [f for f in check_pipelines({"market-data.yml": bad}) if f.rule == rule]
    assert found, "the rule found nothing"
    assert any(message in finding.message for finding in found), found
    assert rule == "yaml" or all(finding.line > 0 for finding in found)


@pytest.mark.parametrize("gate", check.GATES)
@pytest.mark.parametrize("service", sorted(RELEASE))
def test_a_missing_gate_is_found_in_every_pipeline(service: str, gate: str) -> None:
    pipeline = RELEASE[service].replace(f"\n{gate}:\n", f"\n.{gate}:\n")
    rules = {finding.rule for finding in check_pipelines({service: pipeline})}
    assert {"needs-exist", "artifacts-pass-the-gates"} <= rules


def test_a_finding_has_the_line_of_the_shell_text() -> None:
    text = RELEASE["market-data.yml"].replace("go vet ./...", "go vet $packages")
    finding = next(f for f in check_pipelines({"x.yml": text}) if f.rule == "scripts-pass-shellcheck")
    assert "go vet $packages" in text.splitlines()[finding.line - 1]


def test_every_rule_has_a_planted_fault() -> None:
    names = {rule.__name__.replace("_", "-") for rule in RULES} | {"scripts-pass-shellcheck", "yaml"}
    assert {rule for rule, _, _ in FAULTS} == names


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "a",
        "a: [",
        "\x00",
        "a: &a [*a]",
        "stages: 1\nx: {script: 1, needs: 2}",
        "? {a: b}\n: c",
        "x: {needs: [1]}",
    ],
    ids=repr,
)
def test_odd_files_end_in_findings(text: str) -> None:
    for finding in check_pipelines({"odd.yml": text}):
        assert finding.file == "odd.yml"
