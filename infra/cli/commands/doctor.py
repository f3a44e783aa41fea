"""`forgeline doctor`: what this machine lacks, and whether the servers that run can be worked with."""

from __future__ import annotations

import os

import click
from rich.table import Table

from infra.cli.app import App, json_option, pass_app, profile_option
from infra.core.error import ExitCode
from infra.operations.check import Check, Verdict
from infra.operations.doctor import examine
from infra.operations.server_check import examine_servers

MARKS = {Verdict.FINE: "[green]✓[/]", Verdict.WARNING: "[yellow]![/]", Verdict.MISSING: "[red]✗[/]"}


@click.command()
@json_option
@profile_option
@pass_app
def doctor(app: App) -> int:
    """Say what this machine lacks, and the exact remedy for each; and of servers that run, which versions they are.

    Where others run the servers: what they are and can do, and which permissions are missing there, by name.
    Exit code 0 when everything needed is there, 3 when something is missing.
    """
    services = app.catalogue.services if app.settings.existing else ()
    # Of others' servers `examine` tells more than their versions.
    own = () if app.settings.existing else examine_servers(app.settings)
    checks = [*examine(app.settings, os.environ, services), *own]
    if app.as_json:
        app.print_json([check.as_json() for check in checks])
    else:
        app.out.print(table(checks))
    return ExitCode.SERVER_FAILED if any(c.verdict is Verdict.MISSING for c in checks) else ExitCode.FINE


def table(checks: list[Check]) -> Table:
    """The checks as a table, remedies below what they mend."""
    grid = Table(box=None, show_header=False, padding=(0, 1))
    for check in checks:
        grid.add_row(MARKS[check.verdict], check.name, check.found)
        if check.fix and check.verdict is not Verdict.FINE:
            grid.add_row("", "", f"[bold]fix:[/] {check.fix}")
    return grid
