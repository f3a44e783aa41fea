"""Whole proofs: nothing against the ten pipelines, every planted fault found, each distinct script asked about once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.core.finding import Severity
from infra.core.settings import load_settings
from pipelines import check
from pipelines.catalogue import load_catalogue
from pipelines.check import Manner, Task, catalogue_tasks, check_files, check_pipelines, normalised, prove
from pipelines.ledger import Ledger
from pipelines.render import Context

CATALOGUE = load_catalogue()
TASKS = {task.file: task for task in catalogue_tasks(CATALOGUE, Context.of(CATALOGUE, load_settings({})))}
GO = TASKS["market-data.yml"]
CASES = sorted((Path(__file__).parent / "rules" / "cases").glob("*/fail*/change.json"))

Fault = Callable[[str], str]


def change(old: str, new: str) -> Fault:
    def changed(text: str) -> str:
        assert old in text, f"the pipeline has no {old!r} any more"
        return text.replace(old, new, 1)

    return changed


def of_case(file: Path) -> tuple[str, Fault, str]:
    """A failing example of a rule of the standard, as a fault."""
    changes = json.loads(file.read_text(encoding="utf-8"))["changes"]
    expected = json.loads(file.with_name("expected.json").read_text(encoding="utf-8"))

    def changed(text: str) -> str:
        for old, new in changes:
            text = change(old, new)(text)
        return text

    return expected["rule"], changed, expected["line"]


ON_MAIN = '    - if: $CI_COMMIT_REF_PROTECTED == "true" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH\n'

FAULTS: list[tuple[str, Fault, str]] = [
    ("yaml", change("stages:", "stages: ["), "- validate"),
    ("schema", change("\nlint:\n", "\nlint:\n  scripts: []\n"), "scripts: []"),
    ("stage-undeclared", change("stage: quality", "stage: qualty"), "stage: qualty"),
    ("needs-undefined", change("needs: [build]", "needs: [biuld]"), "needs: [biuld]"),
    ("needs-later-stage", change("needs: [validate]", "needs: [package]"), "needs: [package]"),
    ("needs-cycle", change("needs: []", "needs: [validate]"), "needs: [validate]"),
    ("needs-excluded", change(ON_MAIN, ""), "- job: package"),
    ("script-missing", change("\nbuild:\n", "\nidle:\n  stage: build\n  before_script: []\n\nbuild:\n"), "idle:"),
    ("extends-undefined", change("\nlint:\n", "\nlint:\n  extends: .nope\n"), "extends: .nope"),
    ("on-stop-undefined", change("    name: dev\n", "    name: dev\n    on_stop: nope\n"), "on_stop: nope"),
    ("environment-bad", change("    name: dev\n", "    name: 'dev!'\n"), "environment:"),
    ("timeout-bad", change("timeout: 15 minutes", "timeout: soon"), "timeout: soon"),
    ("rules-syntax", change('$CI_PIPELINE_SOURCE == "schedule" ||', "$CI_PIPELINE_SOURCE = 1 ||"), "= 1 ||"),
    (
        "artifact-missing",
        change("    paths:\n      - dist/\n", ""),
        "needs: [build]",
    ),
    ("shell-syntax", change("go vet ./...", "if go vet"), "staticcheck ./..."),
    ("shellcheck", change("go vet ./...", "go vet $packages ./..."), "go vet $packages"),
    ("curl-pipe-shell", change("go vet ./...", "curl -s https://x.example/i | sh; go vet ./..."), "curl -s"),
    ("tool-unpinned", change("go vet ./...", "go install example.com/x@latest; go vet ./..."), "@latest"),
    ("image-unpinned", change("\nlint:\n", "\nlint:\n  image: golang\n"), "image: golang"),
    ("secret-in-plain-text", change("\nlint:\n", "\nlint:\n  variables: {PASSWORD: s3cr3t-word}\n"), "s3cr3t-word"),
    ("include-unread", change("\nstages:\n", "\ninclude: [{template: x.yml}]\nstages:\n"), "include:"),
    ("production-unapproved", change("    - job: approve-production\n", "    - job: validate\n"), "deploy-production:"),
    *map(of_case, [file for file in CASES if json.loads(file.read_text())["from"] == GO.file]),
]


@pytest.fixture(scope="module")
def manner(tmp_path_factory: pytest.TempPathFactory) -> Manner:
    """Scripts that were looked at in one test are not looked at again in the next."""
    return Manner(ledger=Ledger(tmp_path_factory.mktemp("cache")))


def test_the_ten_pipelines_have_no_finding(manner: Manner) -> None:
    assert prove(list(TASKS.values()), manner) == []


def test_there_are_forty_faults_of_different_kinds() -> None:
    assert len(FAULTS) >= 40
    assert len({rule for rule, _, _ in FAULTS}) >= 30


@pytest.mark.parametrize(("rule", "fault", "line"), FAULTS, ids=[f"{rule}: {line}" for rule, _, line in FAULTS])
def test_a_planted_fault_is_found_at_its_line(manner: Manner, rule: str, fault: Fault, line: str) -> None:
    bad = fault(GO.text)
    found = [one for one in prove([Task(file=GO.file, text=bad, expected=GO.expected)], manner) if one.rule == rule]
    assert found, "the rule found nothing"
    lines = bad.splitlines()
    assert any(line in lines[one.line - 1] for one in found), found


def test_findings_are_found_again_in_the_second_run(tmp_path: Path) -> None:
    bad = Task(file=GO.file, text=GO.text.replace("go vet ./...", "go vet $packages ./..."), expected=GO.expected)
    runs = [prove([bad, TASKS["settlement.yml"]], Manner(ledger=Ledger(tmp_path))) for _ in range(2)]
    assert runs[0] == runs[1]
    assert {finding.rule for finding in runs[0]} == {"shellcheck"}


def test_what_is_proven_is_not_proven_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prove([GO], Manner(ledger=Ledger(tmp_path))) == []

    def none(*_: object) -> list[object]:
        raise AssertionError("a proven file was looked at again")

    monkeypatch.setattr(check, "_subject", none)
    assert prove([GO], Manner(ledger=Ledger(tmp_path))) == []
    with pytest.raises(AssertionError):
        prove([Task(file=GO.file, text=GO.text + "\n", expected=GO.expected)], Manner(ledger=Ledger(tmp_path)))


def test_many_files_are_proven_side_by_side_with_the_same_result() -> None:
    faulty = GO.text.replace("\nlint:\n", "\nlint:\n  allow_failure: true\n")
    tasks = [Task(file=f"service-{index}.yml", text=faulty) for index in range(check.SIDE_BY_SIDE)]
    together, alone = prove(tasks, Manner(processes=2)), prove(tasks, Manner())
    assert together == alone
    assert len({finding.file for finding in together}) == check.SIDE_BY_SIDE


@pytest.mark.parametrize(
    ("script", "plain"),
    [
        ("forgeline deploy order-gateway --version 1", "forgeline deploy a-service --version 1"),
        ("role=publish-order-gateway", "role=publish-a-service"),
        ("role=deploy-order-gateway-dev", "role=deploy-a-service-dev"),
        ("python3 -m order_gateway.main", "python3 -m a_service.main"),
        ("url=http://127.0.0.1:18102/x", "url=http://127.0.0.1:10000/x"),
        ("apt-get install x", "apt-get install x"),
    ],
)
def test_names_that_no_shell_cares_about_are_made_equal(script: str, plain: str) -> None:
    assert normalised(script, frozenset({"order-gateway"})) == plain


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"[]", b"a", b"a: [", b"\x00", b"\xff\xfe\x00", b"a: &a [*a]", b"stages: 1\nx: {script: 1, needs: 2}"),
        *(b"? {a: b}\n: c", b"x: {needs: [1]}", b"x: {script: [[[a]]]}", b"\xef\xbb\xbfx: {script: a}", b"x: !y z"),
    ],
    ids=repr,
)
def test_any_bytes_end_in_findings_or_none(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "odd.yml"
    file.write_bytes(raw)
    for finding in check_files([file], Manner(standard=False, follow=True)):
        assert finding.file == str(file)
        assert finding.line > 0
        assert finding.fix


def test_other_peoples_files_are_not_held_to_the_standard(tmp_path: Path) -> None:
    file = tmp_path / ".gitlab-ci.yml"
    file.write_text("build:\n  image: python:3.12.7\n  services: [postgres:17.2]\n  script: make\n", encoding="utf-8")
    assert check_files([file], Manner(standard=False, follow=True)) == []
    held = check_files([file], Manner(standard=True))
    assert {"gate-missing", "gate-skipped"} == {finding.rule for finding in held}


def test_a_short_call_holds_files_to_the_standard() -> None:
    assert check_pipelines({GO.file: GO.text}) == []
    assert check_pipelines({GO.file: GO.text.replace("\nsast:\n", "\n.sast:\n")})


def test_a_file_that_is_followed_brings_its_own_place(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "lint.yml").write_text("lint:\n  image: python\n  script: ruff check\n", encoding="utf-8")
    file = tmp_path / ".gitlab-ci.yml"
    file.write_text("include: ci/lint.yml\n", encoding="utf-8")
    (finding,) = check_files([file], Manner(standard=False, follow=True))
    assert (finding.file, finding.line, finding.rule) == ("ci/lint.yml", 2, "image-unpinned")
    assert finding.severity is Severity.ERROR
