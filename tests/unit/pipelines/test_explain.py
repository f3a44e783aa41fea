"""What runs and why, and what a change means."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli.app import run
from infra.cli.main import forgeline
from infra.core.error import BadInputError, ExitCode
from infra.core.settings import ROOT
from pipelines.context import Occasion
from pipelines.difference import Kind, differences
from pipelines.explain import explain
from pipelines.language.error import ConfigError
from pipelines.rendition import rendered_at
from pipelines.subject import Subject

TEXT = """\
workflow:
  rules:
    - if: $CI_COMMIT_TAG
      when: never
    - when: always
build:
  script: make
deploy:
  script: make deploy
  needs: [build]
  environment: production
  rules:
    - if: $CI_PIPELINE_SOURCE == "schedule"
      when: never
    - if: $CI_COMMIT_BRANCH == "main"
      when: manual
"""
GOLDEN = ROOT / "tests" / "golden" / "pipelines"


def subject(text: str = TEXT) -> Subject:
    return Subject(file="x.yml", text=text)


def test_the_rule_that_lets_a_job_in_is_named() -> None:
    told = explain(subject(), Occasion.MAIN)
    assert told.why == "rule 2 holds: it asks for nothing -> when: always"
    build, deploy = told.jobs
    assert (build.runs, build.why, build.needs) == (True, "it has no rules", None)
    assert deploy.why == 'rule 2 holds: if: $CI_COMMIT_BRANCH == "main" -> when: manual'
    assert (deploy.when, deploy.needs, deploy.environment) == ("manual", ("build",), "production")
    assert told.before_production == ("build",)


def test_what_leaves_a_job_out_is_named() -> None:
    assert explain(subject(), Occasion.SCHEDULE).jobs[1].why.startswith("rule 1 holds: if: $CI_PIPELINE_SOURCE")
    left_out = explain(subject(), Occasion.BRANCH).jobs[1]
    assert (left_out.runs, left_out.why) == (False, "none of its rules holds")


def test_no_pipeline_is_explained_too() -> None:
    told = explain(subject(), Occasion.RELEASE_TAG)
    assert (told.created, told.why) == (False, "rule 1 holds: if: $CI_COMMIT_TAG -> when: never")
    assert not any(job.runs for job in told.jobs)


def test_a_refused_file_is_an_error() -> None:
    with pytest.raises(ConfigError, match="undefined need"):
        explain(subject("a: {script: x, needs: [b]}"), Occasion.MAIN)


def test_a_change_is_told_by_job_key_and_occasion() -> None:
    after = TEXT.replace("script: make\n", "script: make all\n").replace("  needs: [build]\n", "")
    (change,) = differences({"x": TEXT}, {"x": after})
    found = {(one.job, one.kind, one.keys): one.occasions for one in change.jobs}
    assert found["deploy", Kind.CHANGED, ("needs",)] == (Occasion.MAIN,)
    assert Occasion.BRANCH in found["build", Kind.CHANGED, ("script",)]
    assert not change.text_only


def test_added_removed_and_gates() -> None:
    before = (GOLDEN / "market-data.yml").read_text(encoding="utf-8")
    after = before.replace("\nsast:\n", "\nscan:\n").replace("job: sast\n", "job: scan\n")
    (change,) = differences({"a": before, "same": before}, {"a": after, "same": before})
    kinds = {(one.job, one.kind, one.gate) for one in change.jobs}
    assert {("sast", Kind.REMOVED, True), ("scan", Kind.ADDED, False), ("publish", Kind.CHANGED, True)} <= kinds
    assert change.gates == ("sast", "publish")
    assert differences({"x": TEXT}, {})[0].kind is Kind.REMOVED
    assert differences({}, {"x": TEXT})[0].kind is Kind.ADDED


def test_a_comment_changes_no_job() -> None:
    (change,) = differences({"x": TEXT}, {"x": TEXT + "# more\n"})
    assert change.text_only


def test_a_pipeline_that_gitlab_refuses_is_told() -> None:
    (change,) = differences({"x": TEXT}, {"x": TEXT.replace("[build]", "[biuld]")})
    assert change.problem.startswith("after, GitLab refuses it: deploy job: undefined need")


def test_a_folder_of_files_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text(TEXT, encoding="utf-8")
    assert rendered_at(str(tmp_path)) == {"x": TEXT}
    (tmp_path / "x.yml").unlink()
    with pytest.raises(BadInputError, match=r"has no \*.yml"):
        rendered_at(str(tmp_path))


def test_what_is_no_ref_is_told() -> None:
    for ref in ("no-such-ref", "--output=x", ""):
        with pytest.raises(BadInputError):
            rendered_at(ref or "./nothing")


def test_a_checkout_is_rendered_by_its_own_code() -> None:
    assert rendered_at(str(ROOT))["settlement"] == (GOLDEN / "settlement.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "settlement"],
        ["explain", "settlement", "--ref", "mr"],
        ["explain", "settlement", "--ref", "tag", "--format", "mermaid"],
        ["explain", "settlement", "--format", "svg"],
        ["explain", "settlement", "--json"],
        ["diff", "--against", str(GOLDEN)],
        ["diff", "--against", str(GOLDEN), "--json"],
    ],
    ids=" ".join,
)
def test_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(forgeline, ["pipelines", *arguments]) == ExitCode.FINE
    assert capsys.readouterr().out


def test_a_wrong_occasion_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(forgeline, ["pipelines", "explain", "settlement", "--ref", "schedlue"]) == ExitCode.BAD_INPUT
    assert "did you mean 'schedule'?" in capsys.readouterr().err
