"""`forgeline offboard`: takes a service out of work, and keeps what it made."""

from __future__ import annotations

import click
from rich.console import Console
from rich.markup import escape

from infra.cli.app import App, at_a_terminal, json_option, pass_app
from infra.cli.onboard_view import near, show_changes_by_system
from infra.cli.service_name import SERVICE
from infra.core.error import BadInputError
from infra.operations.offboard import Offboarding, OffboardPlan


@click.command()
@click.argument("name", type=SERVICE)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_app
def offboard(app: App, name: str, dry_run: bool, yes: bool) -> None:
    """Stop the service NAME everywhere, revoke its access, archive its project, and take it out of the catalogue.

    Its repository, artifacts, secrets and evidence stay. Refused while other services depend on it. Shows the plan and
    asks, unless --yes is given. Run again, it finishes what was interrupted, or changes nothing.
    """
    if not (yes or dry_run or at_a_terminal()):
        raise BadInputError("nobody can be asked here, and nothing says yes", fix="give --yes, or --dry-run to look")

    def confirm(plan: OffboardPlan) -> None:
        show_offboard_plan(plan, app.err)
        click.confirm("Do this?", abort=True, err=True)

    work = app.work()
    plan = Offboarding(work=work, confirm=None if yes else confirm).run(name, dry_run=dry_run)
    if app.as_json:
        app.print_json({**plan.as_json(), "dry_run": dry_run})
    elif plan.nothing:
        app.out.print(f"Nothing to do: {name} is out of work already.")
    elif dry_run:
        show_offboard_plan(plan, app.out)
    else:
        app.out.print(f"[green]{escape(name)} is out of work.[/] {len(plan.changes)} resources changed.")
        app.out.print("Kept: the archived project, its artifacts in Nexus, its secrets in Vault. Next:")
        app.out.print("  commit the files that changed in the catalogue")


def show_offboard_plan(plan: OffboardPlan, out: Console) -> None:
    """The plan, by what it touches."""
    if plan.nothing or plan.proposal is None:
        out.print(f"Nothing to do: {escape(plan.name)} is out of work already.")
        return
    out.print(f"[bold]Pipeline release {plan.proposal.release.version}[/], without {escape(plan.name)}.yml")
    out.print("[bold]Files of the catalogue[/]")
    for path, text in plan.proposal.files.items():
        out.print(f"  {'removed' if text is None else 'changed'}: {escape(str(near(path)))}", soft_wrap=True)
    for program in plan.programs:
        out.print(f"[bold]stops[/] {escape(program)}")
    show_changes_by_system(out, plan.changes)
