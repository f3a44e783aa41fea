"""`forgeline gate`: what jobs of the pipelines ask before they let a change on. By hand, they answer the same."""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path
from typing import TextIO

import click
from rich.markup import escape

from infra.cli.app import App, pass_app
from infra.cli.finding_view import show_findings
from infra.cli.service_name import SERVICE
from infra.core.document import parse, read_text
from infra.core.error import BadInputError, ExitCode, FindingsError
from infra.core.finding import Severity as FindingSeverity
from infra.core.settings import ROOT
from infra.operations.integration import Outcome, read_checks, run_checks, watch_health
from pipelines.advisory import Advisories, Match, stops
from pipelines.approval import Person, approver, objections
from pipelines.license import check_licenses
from pipelines.policy import LicensePolicy, Severity, WithoutAdvisories
from pipelines.sbom import components, go_sbom, read_sbom, reproducible

SBOM = click.argument("sbom", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def gate() -> None:
    """Answer what the pipelines' jobs ask: licences, advisories, SBOM, approval, health."""


@gate.command()
@SBOM
@click.option("--name", required=True, help="The service that it is of.")
@click.option("--version", required=True, help="The version that it is of.")
@click.option("--time", required=True, help="The commit's time, in ISO 8601.")
@pass_app
def sbom(app: App, sbom: Path, name: str, version: str, time: str) -> None:
    """See that SBOM is CycloneDX, and make it the same bytes whenever it is made from the same commit."""
    document = read_sbom(read_text(sbom), str(sbom))
    found = components(document, str(sbom))
    sbom.write_text(reproducible(document, name=name, version=version, time=time), encoding="utf-8")
    app.out.print(f"{name} {version} ships {len(found)} components.")


@gate.command("go-sbom")
@click.option("--go", "go_version", required=True, help="What `go env GOVERSION` says.")
def go_bill(go_version: str) -> None:
    """Print the CycloneDX document of a Go program from what `go list` says on standard input."""
    click.echo(json.dumps(go_sbom(sys.stdin.read(), go_version)))


@gate.command("license")
@SBOM
@click.option("--policy", required=True, type=click.File(encoding="utf-8"), help="The policy in JSON; - reads it.")
@pass_app
def licenses(app: App, sbom: Path, policy: TextIO) -> int:
    """Hold the licences of what ships against the policy."""
    rules = parse(policy.read(), policy.name, LicensePolicy)
    found = components(read_sbom(read_text(sbom), str(sbom)), str(sbom))
    findings = check_licenses(found, rules, datetime.datetime.now(tz=datetime.UTC).date(), str(sbom))
    show_findings(app, findings, f"{len(found)} components, all with licences that are allowed.")
    refused = any(finding.severity is not FindingSeverity.NOTE for finding in findings)
    return ExitCode.FINDINGS if refused else ExitCode.FINE


@gate.command()
@SBOM
@click.option("--database", type=click.Path(path_type=Path), help="Instead of the profile's `advisories`.")
@click.option("--without-advisories", type=click.Choice([str(v) for v in WithoutAdvisories]), default="fail")
@click.option(
    "--fail-from", type=click.Choice([str(v) for v in Severity]), default="low", help="The least that counts."
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write what was found here, as JSON.")
@pass_app
def audit(
    app: App,
    sbom: Path,
    database: Path | None,
    without_advisories: str,
    fail_from: str,
    report: Path | None,
) -> int:
    """Look what ships up in a database of advisories."""
    found = components(read_sbom(read_text(sbom), str(sbom)), str(sbom))
    path = database or app.settings.profile.advisories
    if path is None:
        app.out.print(f"{len(found)} components were NOT looked up: the profile names no database (`advisories`).")
        _write(report, {"database": None, "matches": []})
        app.out.print(f"That this {without_advisories}es is set in pipelines/policy.yaml (audit.without_advisories).")
        return ExitCode.FINDINGS if WithoutAdvisories(without_advisories) is WithoutAdvisories.FAIL else ExitCode.FINE
    advisories = Advisories.load(ROOT / path)
    matches, least = advisories.matches(found), Severity(fail_from)
    _write(report, {"database": advisories.modified, "matches": [match.as_json() for match in matches]})
    for match in matches:
        app.out.print(_told(match, least))
    stopping = [match for match in matches if stops(match, least)]
    known = f"{advisories.count} advisories, the youngest of {advisories.modified}"
    app.out.print(f"{len(found)} components looked up in {known}: {len(matches)} hits, {len(stopping)} of them stop.")
    return ExitCode.FINDINGS if stopping else ExitCode.FINE


def _write(report: Path | None, content: object) -> None:
    if report is not None:
        report.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _told(match: Match, fail_from: Severity) -> str:
    kind = "error" if stops(match, fail_from) else "note"
    names = ", ".join((match.id, *match.aliases))
    fixed = f"; fixed in {', '.join(match.fixed)}" if match.fixed else "; no fixed version"
    return escape(f"{kind}: {match.component.label}: {names} ({match.severity or 'not rated'}): {match.summary}{fixed}")


@gate.command()
@click.option("--service", required=True, type=SERVICE)
@click.option("--environment", required=True)
@click.option("--version", required=True)
@click.option("--requester", required=True, type=click.Path(path_type=Path), help="What the job `validate` noted.")
@click.option("--tagger", default="", help="Who made the tag.")
@click.option("--same-person", is_flag=True, help="The profile's approvals.four_eyes is off.")
@pass_app
def approval(
    app: App, service: str, environment: str, version: str, requester: Path, tagger: str, same_person: bool
) -> None:
    """Approve a release, unless the one who approves had a hand in it."""
    person = approver(os.environ)
    involved = {
        "started the pipeline": Person.recorded(_noted(requester)),
        "wrote the commit": Person.written(os.environ.get("CI_COMMIT_AUTHOR", "")),
        "made the tag": Person.written(tagger),
    }
    deeds = " and ".join(objections(person, involved))
    what = f"{service} {version} for {environment}"
    if deeds and not same_person:
        raise FindingsError(
            f"{person} {deeds}: somebody else has to approve {what}",
            where="four eyes",
            fix="ask a colleague who may start this job to start it again",
        )
    if same_person:
        app.out.print("NOTICE: the four-eyes rule is off in this profile (approvals.four_eyes).")
    app.out.print(escape(f"{person} approves {what}" + (f", and {deeds}" if deeds else "") + "."))


def _noted(requester: Path) -> str:
    text = read_text(requester) if requester.is_file() else ""
    if not text.strip():
        raise BadInputError(
            "nobody knows any more who started this pipeline", where=str(requester), fix="start a new pipeline"
        )
    return text


@gate.command()
@click.argument("checks", type=click.Path(path_type=Path))
@click.option("--url", required=True, help="Where the service is.")
@click.option("--version", required=True, help="The version that must be there.")
@click.option("--dependency", "dependencies", multiple=True, help="NAME=URL of a service that it calls.")
@pass_app
def integration(app: App, checks: Path, url: str, version: str, dependencies: tuple[str, ...]) -> int:
    """Ask a service that runs what its repository says, and hold the answers against it."""
    wanted = read_checks(checks)
    again = "if another pipeline deployed in between: run deploy-dev again, then this job; else see the service's log"
    watch_health(url, version, 0, fix=again)
    addresses = {name: address for name, _, address in (text.partition("=") for text in dependencies)}
    outcomes: list[Outcome] = []
    for outcome in run_checks(wanted, url, addresses):
        outcomes.append(outcome)
        app.out.print(escape(_said(outcome)))
    faults, missing = sum(bool(o.fault) for o in outcomes), sum(bool(o.missing) for o in outcomes)
    left = f"; {missing} could not be made yet" if missing else ""
    app.out.print(f"{len(wanted) - faults - missing} of {len(wanted)} checks passed at {url}{left}.")
    return ExitCode.FINDINGS if faults else ExitCode.FINE


def _said(outcome: Outcome) -> str:
    if outcome.fault:
        return f"FAILED  {outcome.name}: {outcome.fault}"
    if outcome.missing:
        return f"not made  {outcome.name}: {outcome.missing} is not deployed here yet; its own pipeline does that"
    return f"passed  {outcome.name}"


@gate.command()
@click.argument("url")
@click.option("--version", required=True, help="The version that must be there.")
@click.option("--seconds", default=0.0, show_default=True, help="How long it is watched.")
@pass_app
def health(app: App, url: str, version: str, seconds: float) -> None:
    """Watch a service: it must be healthy and of this version the whole time."""
    seen = watch_health(url, version, seconds)
    app.out.print(f"{url} serves {version}; healthy {seen} times of {seen}.")
