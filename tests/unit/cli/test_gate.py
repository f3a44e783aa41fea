"""`forgeline gate`: what jobs are answered, and by which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.cli.app import run
from infra.cli.main import forgeline
from infra.core.error import ExitCode

PROFILE = """\
name: trial
ports: {gitlab: 2001, openbao: 2002, openbao_cluster: 2003, nexus: 2004}
environment_port_offsets: {dev: 10000}
"""


@pytest.fixture
def requester(tmp_path: Path) -> Path:
    file = tmp_path / "requester.txt"
    file.write_text("ann\nann@example.org\n", encoding="utf-8")
    return file


def approve(requester: Path, *more: str) -> ExitCode | int:
    what = ["--service", "market-data", "--environment", "staging", "--version", "1.2.3"]
    return run(forgeline, ["gate", "approval", *what, "--requester", str(requester), *more])


@pytest.mark.parametrize(
    ("login", "email", "author", "tagger", "deed"),
    [
        ("bob", "bob@example.org", "Cy <cy@example.org>", "<dan@example.org>", ""),
        ("ann", "other@example.org", "", "", "ann started the pipeline"),
        ("bob", "ANN@example.org", "", "", "bob started the pipeline"),
        ("cy", "cy@example.org", "Cy <Cy@Example.org>", "", "cy wrote the commit"),
        ("dan", "dan@example.org", "", "<dan@example.org>", "dan made the tag"),
        ("ann", "", "", "", "ann started the pipeline"),
    ],
)
def test_who_had_a_hand_in_it_does_not_approve(
    requester: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    login: str,
    email: str,
    author: str,
    tagger: str,
    deed: str,
) -> None:
    monkeypatch.setenv("GITLAB_USER_LOGIN", login)
    monkeypatch.setenv("GITLAB_USER_EMAIL", email)
    monkeypatch.setenv("CI_COMMIT_AUTHOR", author)
    code = approve(requester, "--tagger", tagger)
    told = capsys.readouterr()
    if not deed:
        assert (code, told.out) == (ExitCode.FINE, f"{login} approves market-data 1.2.3 for staging.\n")
        return
    assert code == ExitCode.FINDINGS
    assert f"{deed}: somebody else has to approve market-data 1.2.3 for staging" in told.err
    assert approve(requester, "--tagger", tagger, "--same-person") == ExitCode.FINE
    told = capsys.readouterr()
    assert "NOTICE: the four-eyes rule is off in this profile" in told.out
    assert deed.partition(" ")[2] in told.out


def test_nobody_approves_what_nobody_knows(
    requester: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITLAB_USER_LOGIN", raising=False)
    assert approve(requester) == ExitCode.BAD_INPUT
    monkeypatch.setenv("GITLAB_USER_LOGIN", "bob")
    requester.unlink()
    assert approve(requester) == ExitCode.BAD_INPUT
    assert "nobody knows any more who started this pipeline" in capsys.readouterr().err


@pytest.fixture
def bill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An SBOM, and a profile that names no database."""
    profile = tmp_path / "trial.yaml"
    profile.write_text(PROFILE, encoding="utf-8")
    monkeypatch.setenv("FORGELINE_PROFILE", str(profile))
    file = tmp_path / "sbom.cdx.json"
    component = {"name": "lodash", "version": "4.17.20", "purl": "pkg:npm/lodash@4.17.20"}
    file.write_text(json.dumps({"bomFormat": "CycloneDX", "components": [component]}), encoding="utf-8")
    return file


@pytest.mark.parametrize(("verdict", "code"), [("fail", ExitCode.FINDINGS), ("pass", ExitCode.FINE)])
def test_an_audit_without_a_database_says_so(
    bill: Path, capsys: pytest.CaptureFixture[str], verdict: str, code: ExitCode
) -> None:
    assert run(forgeline, ["gate", "audit", str(bill), "--without-advisories", verdict]) == code
    assert "1 components were NOT looked up" in capsys.readouterr().out


@pytest.mark.parametrize(("least", "code"), [("high", ExitCode.FINDINGS), ("critical", ExitCode.FINE)])
def test_an_audit_stops_from_a_severity_on(
    bill: Path, capsys: pytest.CaptureFixture[str], least: str, code: ExitCode
) -> None:
    arguments = ["--database", "infra/profiles/advisories", "--fail-from", least]
    assert run(forgeline, ["gate", "audit", str(bill), *arguments]) == code
    told = capsys.readouterr().out
    assert "GHSA-35jh-r3h4-6jhm, CVE-2021-23337 (high): Command injection in lodash; fixed in 4.17.21" in told
    assert "6 advisories, the youngest of 2026-11-24" in told


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"bomFormat": "CycloneDX", "components": [1]}'])
@pytest.mark.parametrize("command", ["audit", "license", "sbom"])
def test_what_is_no_bill_is_bad_input(
    bill: Path, capsys: pytest.CaptureFixture[str], command: str, text: str, tmp_path: Path
) -> None:
    bill.write_text(text, encoding="utf-8")
    policy = tmp_path / "policy.json"
    policy.write_text('{"allowed": ["MIT"]}', encoding="utf-8")
    more = {
        "audit": [],
        "license": ["--policy", str(policy)],
        "sbom": ["--name", "x", "--version", "1", "--time", "2026-11-24T00:00:00Z"],
    }
    assert run(forgeline, ["gate", command, str(bill), *more[command]]) == ExitCode.BAD_INPUT
    assert "Traceback" not in capsys.readouterr().err


def test_the_schema_is_for_editors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(forgeline, ["pipelines", "schema"]) == ExitCode.FINE
    schema = json.loads(capsys.readouterr().out)
    assert "overrides" in schema["properties"]
    assert run(forgeline, ["pipelines", "schema", "--out", str(tmp_path / "schema.json")]) == ExitCode.FINE
    assert json.loads((tmp_path / "schema.json").read_text(encoding="utf-8")) == schema


def test_integration_asks_only_the_version_that_was_deployed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = tmp_path / "checks.json"
    checks.write_text('[{"name": "x", "path": "/"}]', encoding="utf-8")
    arguments = ["gate", "integration", str(checks), "--url", "http://127.0.0.1:9", "--version", "1"]
    assert run(forgeline, arguments) == ExitCode.FINDINGS
    assert "run deploy-dev again, then this job" in capsys.readouterr().err
