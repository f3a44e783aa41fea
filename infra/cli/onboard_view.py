"""How the plan of an onboarding and its outcome look on a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from infra.cli.app import App
from infra.cli.commands.stack import STYLES
from infra.operations.history import Adoption
from infra.operations.onboard import Onboarded, OnboardPlan
from infra.programs.plan import Change
from pipelines.catalogue import Service
from pipelines.service_page import PAGE

SYSTEMS = {"gitlab": "GitLab", "nexus": "Nexus", "vault": "Vault"}


def show_onboard_plan(plan: OnboardPlan, out: Console, *, whole: bool) -> None:
    """The plan, by what it touches; `whole`: with the content of each file."""
    for warning in plan.warnings:
        out.print(f"[yellow]warning:[/] {escape(warning.message)} ({escape(warning.fix)})", soft_wrap=True)
    if plan.nothing:
        out.print("Nothing to change.")
        return
    release = plan.proposal.release
    if not release.published:
        touched = ", ".join(str(change) for change in release.changes if change.service in release.affected)
        out.print(f"[bold]Pipeline release {release.version}[/]: {escape(touched)}", soft_wrap=True)
    if plan.proposal.files:
        out.print("[bold]Files of the catalogue[/]")
    for path, text in plan.proposal.files.items():
        _file(out, str(near(path)), text or "", whole)
    for name, files in plan.seeds.items():
        if files:
            out.print(f"[bold]First commit of {escape(name)}[/]: {len(files)} files")
        for inside, text in files.items():
            _file(out, inside, text, whole)
    for adoption in plan.adoptions:
        name = escape(adoption.service.name)
        out.print(f"[bold]History of {name}[/]: {escape(adoption.origin.source)} at {adoption.origin.commit[:12]}")
        out.print(f"[bold]Merge request of {name}[/]: {len(adoption.files)} files")
        for inside, text in adoption.files.items():
            _file(out, inside, text, whole)
        _show_findings(out, adoption)
    show_changes_by_system(out, plan.changes or ())
    for service in plan.services:
        if service.name in plan.new:
            _environments(out, plan, service)


def show_changes_by_system(out: Console, changes: tuple[Change, ...]) -> None:
    """The changes on servers, each below its server's name."""
    for system, title in SYSTEMS.items():
        own = [change for change in changes if change.kind.split(":")[1] == system]
        if own:
            out.print(f"[bold]{title}[/]: {len(own)} changes")
        for change in own:
            out.print(Text.assemble("  ", Text(str(change), STYLES[change.op])), soft_wrap=True)


def show_onboarded(app: App, done: Onboarded, seconds: float) -> None:
    """What was done, the links, and what the team does next."""
    out, plan = app.out, done.plan
    if not done.changed:
        out.print(f"Nothing to change. [dim]{seconds:.1f} s[/]")
    else:
        count = len(plan.services)
        who = f"{plan.services[0].name} is" if count == 1 else f"{count} services are"
        out.print(f"[green]{escape(who)} onboarded.[/] {len(done.changes)} resources changed. [dim]{seconds:.1f} s[/]")
    for run in done.runs:
        colour = "green" if run.green else "red" if run.ended else "yellow"
        out.print(
            f"{escape(run.service)}: pipeline #{run.number} [{colour}]{run.status}[/]  {run.web_url}", soft_wrap=True
        )
    for name, address in done.requests.items():
        out.print(f"{escape(name)}: merge request {address}", soft_wrap=True)
    for adoption in plan.adoptions:
        _show_findings(out, adoption)
    if len(plan.services) != 1:
        return
    (service,) = plan.services
    url = f"{app.settings.gitlab_url}/{service.project}"
    for what, link in (
        ("project", url),
        ("pipelines", f"{url}/-/pipelines"),
        ("what to know", f"{url}/-/blob/main/{PAGE}"),
        *((f"in {shown['environment']}", shown["health"]) for shown in plan.environments[service.name]),
    ):
        out.print(f"  {what:<14} {escape(str(link))}", soft_wrap=True)
    program = app.program
    red = any(run.ended and not run.green for run in done.runs)
    again = (f"mend what the job's log says, then {program} pipelines run {service.name} --wait",)
    out.print("Next:")
    for step in (
        *(again if red else ()),
        "commit the files that changed in the catalogue",
        f"git clone {url}.git, and work on branches with merge requests; {' '.join(service.owners)} approves",
        f"{program} pipelines explain {service.name}",
        "tag vX.Y.Z on main to release it",
    ):
        out.print(f"  {escape(step)}", soft_wrap=True)


def _show_findings(out: Console, adoption: Adoption) -> None:
    for finding in adoption.findings:
        said = f"{adoption.service.name} {finding.where}: {finding.message}"
        out.print(f"  [yellow]to change:[/] {escape(said)}", soft_wrap=True)
        out.print(f"    [bold]fix:[/] {escape(finding.fix)}", soft_wrap=True)


def _environments(out: Console, plan: OnboardPlan, service: Service) -> None:
    out.print(f"[bold]Environments of {escape(service.name)}[/]")
    for shown in plan.environments[service.name]:
        out.print(f"  {shown['environment']:<11} port {shown['port']}  {escape(shown['health'])}", soft_wrap=True)


def _file(out: Console, path: str, text: str, whole: bool) -> None:
    out.print(f"  {escape(path)}  [dim]{len(text.splitlines())} lines[/]", soft_wrap=True)
    if whole:
        for line in text.splitlines():
            out.print(f"    {escape(line)}", style="dim", soft_wrap=True)


def near(path: Path) -> Path:
    """The path as it is seen from here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
