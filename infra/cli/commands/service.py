"""`forgeline service NAME`: one service in depth."""

from __future__ import annotations

import click
from rich.text import Text

from infra.cli.app import App, json_option, pass_app
from infra.cli.commands.status import STATUS_STYLES, plain_table
from infra.cli.drift_view import states_text
from infra.cli.service_name import SERVICE
from infra.core.error import ExitCode
from infra.operations.service_view import AS_DECLARED, NOT_KNOWN, ServiceView, service_view


@click.command()
@click.argument("name", type=SERVICE)
@json_option
@pass_app
def service(app: App, name: str) -> int:
    """Show one service in depth: entry, pipelines, deployments, access, drift, and what to type next.

    What could not be read is told; the exit code is then 3.
    """
    view = service_view(app.settings, app.catalogue, name)
    if app.as_json:
        app.print_json(view.as_json())
    else:
        _show(app, view)
    return ExitCode.SERVER_FAILED if view.problems else ExitCode.FINE


def _show(app: App, view: ServiceView) -> None:
    entry = view.service
    app.out.print(Text.assemble((entry.name, "bold"), f"  {entry.description}"), soft_wrap=True)
    facts = plain_table("", "", head=False)
    newer = f" ({view.newest} is out)" if view.newest not in {None, entry.pipeline} else ""
    for title, text in (
        ("entry", str(view.file)),
        ("project", view.web_url or f"{entry.project} (not found)"),
        ("tier, language", f"{entry.tier}, {entry.language} {entry.language_version}"),
        ("owners", ", ".join(entry.owners)),
        ("pipeline release", entry.pipeline + newer + (f", on hold: {entry.hold.reason}" if entry.hold else "")),
        ("calls", ", ".join(entry.dependencies) or "no other service"),
        ("is called by", ", ".join(view.dependents) or "no other service"),
    ):
        facts.add_row(Text(title, "dim"), Text(text))
    app.out.print(facts)
    _show_pipelines(app, view)
    _show_environments(app, view)
    _show_access(app, view)
    _show_drift(app, view)
    for problem in view.problems:
        app.out.print(Text.assemble(("not known: ", "yellow"), problem), soft_wrap=True)
    app.out.print("Next:")
    for step in view.steps:
        app.out.print(Text.assemble(f"  {step.command:<60} ", (step.why, "dim")), soft_wrap=True)


def _show_pipelines(app: App, view: ServiceView) -> None:
    failed = {one.pipeline: one for one in view.failures}
    table = plain_table("pipeline", "status", "of", "made", "failed job", "link")
    for run in view.runs:
        job = failed[run.number].job.name if run.number in failed else ""
        status = Text(run.status, STATUS_STYLES.get(run.status, ""))
        table.add_row(f"#{run.number}", status, run.ref, run.created_at, job, run.web_url)
    app.out.print(table if view.runs else "No pipeline yet.")
    for one in view.failures[:1]:
        app.out.print(Text(f"  {one.job.name} of #{one.pipeline}: {one.job.web_url}"), soft_wrap=True)
        for line in one.log:
            app.out.print(Text(f"  | {line}", "dim"), soft_wrap=True)


def _show_environments(app: App, view: ServiceView) -> None:
    table = plain_table("environment", "version", "health", "since", "from", "deployed by", "approved by", "where")
    for one in view.running:
        health = Text("healthy", "green") if one.healthy else Text("unhealthy" if one.version else "-", "red")
        table.add_row(
            one.environment,
            one.version or "-",
            health if one.version else "-",
            one.since or "-",
            f"{one.ref} {one.sha[:8]}".strip() or "-",
            one.deployed_by or "-",
            one.approved_by or "-",
            one.url,
        )
    app.out.print(table)


def _show_access(app: App, view: ServiceView) -> None:
    if not view.access:
        return
    table = plain_table("access", "name", "state")
    for one in view.access:
        style = {AS_DECLARED: "green", NOT_KNOWN: "yellow"}.get(one.state, "red")
        table.add_row(f"{one.system} {one.kind}", one.name, Text(one.state, style))
    app.out.print(table)


def _show_drift(app: App, view: ServiceView) -> None:
    found = view.pipeline_drift
    if found is not None:
        remedy = f"  fix: {found.state.remedy}" if found.drifted else ""
        app.out.print(Text.assemble("Pipeline: ", states_text(found), remedy), soft_wrap=True)
        for detail in found.details:
            app.out.print(Text(f"  {detail}"), soft_wrap=True)
    for one in view.resource_drift:
        app.out.print(Text(f"Drift: {one}", "red"), soft_wrap=True)
