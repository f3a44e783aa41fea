"""`forgeline services update`: boiler-plate up to date, by merge requests."""

from __future__ import annotations

import click
from rich.text import Text

from infra.cli.app import App, json_option, pass_app
from infra.cli.service_name import SERVICE
from infra.core.error import BadInputError, ExitCode
from infra.operations.desired import first_files
from infra.operations.services_update import Outcome, ServiceUpdate, update_services
from infra.operations.status import gitlab_client

STYLES = {Outcome.NOTHING: "dim", Outcome.LEFT: "yellow", Outcome.FAILED: "red"}


@click.command()
@click.argument("names", metavar="[SERVICE]…", nargs=-1, type=SERVICE)
@click.option("--all", "everything", is_flag=True, help="Every service of the catalogue.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@json_option
@pass_app
def update(app: App, names: tuple[str, ...], everything: bool, dry_run: bool) -> int:
    """Bring services' boiler-plate to the skeleton as it is now, by a merge request each.

    What the team changed is kept: a file that both changed is merged line by line, and left alone where that can't be
    done. Run again, it updates the same merge request or has nothing to do. Exit code 1 when something is left to
    people, 3 when a service failed.
    """
    if everything == bool(names):
        raise BadInputError("nothing says what to update", fix="name services, or give --all")
    catalogue = app.catalogue
    chosen = list(catalogue) if everything else [catalogue.service(name) for name in dict.fromkeys(names)]
    gitlab = gitlab_client(app.settings)
    with app.display.phase(f"{len(chosen)} services") as progress:
        done = update_services(gitlab, chosen, lambda one: first_files(app.settings, one), progress, dry_run=dry_run)
    if app.as_json:
        app.print_json([one.as_json() for one in done])
    else:
        _show(app, done)
    if any(one.outcome is Outcome.FAILED for one in done):
        return ExitCode.SERVER_FAILED
    return ExitCode.FINDINGS if any(one.needs_people for one in done) else ExitCode.FINE


def _show(app: App, done: list[ServiceUpdate]) -> None:
    for one in done:
        outcome = Text(str(one.outcome), STYLES.get(one.outcome, "green"))
        reason = f": {one.reason}" if one.reason else ""
        app.out.print(Text.assemble((one.service, "bold"), "  ", outcome, reason, "  ", one.web_url), soft_wrap=True)
        for file in one.files:
            style = "" if file.fate.written else "yellow"
            app.out.print(Text.assemble("  ", (f"{file.fate:<9}", style), f" {file.path}"), soft_wrap=True)
