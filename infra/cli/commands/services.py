"""`forgeline services`: the fleet at a glance."""

from __future__ import annotations

import click

from infra.cli.app import App, json_option
from infra.cli.commands.services_update import update
from infra.cli.fleet_table import fleet_table
from infra.core.error import ExitCode
from infra.operations.fleet_view import Selection, fleet_view
from infra.operations.status import GLANCE_SECONDS, gitlab_client
from pipelines.catalogue import Language, Tier


@click.group(invoke_without_command=True)
@click.option("--tier", type=click.Choice([str(one) for one in Tier]), help="Only services of this tier.")
@click.option("--language", type=click.Choice([str(one) for one in Language]), help="Only services in this language.")
@click.option("--owner", metavar="TEAM", help="Only services of this team.")
@click.option("--red", is_flag=True, help="Only services whose last pipeline failed.")
@click.option("--drift", "drifted", is_flag=True, help="Only services whose pipeline is not what it should be.")
@json_option
@click.pass_context
def services(
    context: click.Context, tier: str | None, language: str | None, owner: str | None, red: bool, drifted: bool
) -> int:
    """Show the fleet: who owns what, the last pipelines, what runs where, and what has drifted.

    What could not be read is shown as not known, with the reason; the exit code is then 3.
    """
    if context.invoked_subcommand is not None:
        return ExitCode.FINE
    app: App = context.ensure_object(App)
    owner = owner.removeprefix("@") if owner is not None else None
    selection = Selection(tier=tier, language=language, owner=owner, red=red, drifted=drifted)
    settings = app.settings
    view = fleet_view(
        settings, app.catalogue, selection, connect=lambda: gitlab_client(settings, timeout=GLANCE_SECONDS)
    )
    if app.as_json:
        app.print_json(view.as_json())
    else:
        app.out.print(fleet_table(view))
        app.out.print(f"{len(view.rows)} of {len(app.catalogue)} services.", style="dim")
        for problem in sorted({problem for row in view.rows for problem in row.problems}):
            app.out.print(f"[yellow]not known:[/] {problem}", soft_wrap=True)
    return ExitCode.FINE if view.complete else ExitCode.SERVER_FAILED


services.add_command(update)
