"""`forgeline status` and `forgeline credentials`: what runs, and how to sign in."""

from __future__ import annotations

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from infra.cli.app import App, json_option, pass_app, profile_option
from infra.core.error import ExitCode
from infra.operations.credential import credentials as all_credentials
from infra.operations.credential import password
from infra.operations.status import ServerStatus, ServiceStatus
from infra.operations.status import status as read_status

STATUS_STYLES = {"success": "green", "failed": "red", "running": "cyan", "canceled": "yellow"}


@click.command()
@json_option
@profile_option
@pass_app
def status(app: App) -> int:
    """Show each server with its health and version, and each service with its last pipeline.

    Exit code 0 when every server is healthy, 3 otherwise.
    """
    found = read_status(app.settings, app.catalogue)
    if app.as_json:
        app.print_json(found.as_json())
    else:
        app.out.print(server_table(found.servers))
        app.out.print(service_table(found.services))
        if not found.healthy:
            app.out.print("[bold]fix:[/] forgeline up   (starts what is not running)")
    return ExitCode.FINE if found.healthy else ExitCode.SERVER_FAILED


@click.command()
@click.option("--show", "name", metavar="NAME", help="Print the password of this one, and nothing else.")
@json_option
@profile_option
@pass_app
def credentials(app: App, name: str | None) -> None:
    """Say who can sign in where, and where the passwords are kept. None is printed unless asked for by name."""
    if name is not None:
        click.echo(password(app.settings, name).reveal())
        return
    found = all_credentials(app.settings)
    if app.as_json:
        app.print_json([vars(credential) for credential in found])
        return
    table = plain_table("name", "sign in at", "as", "password kept in")
    for credential in found:
        table.add_row(credential.name, credential.url, credential.username, credential.kept)
    app.out.print(table)
    app.out.print("`forgeline credentials --show NAME` prints a password.", style="dim")


def server_table(servers: tuple[ServerStatus, ...]) -> RenderableType:
    """The servers, a line each."""
    table = plain_table("server", "health", "version", "where", "process")
    for server in servers:
        health = Text("healthy", "green") if server.healthy else Text(server.detail or "unhealthy", "red")
        table.add_row(server.name, health, server.version, server.url, server.process)
    return table


def service_table(services: tuple[ServiceStatus, ...]) -> RenderableType:
    """The services, a line each."""
    table = plain_table("service", "last pipeline", "dev", "where")
    for service in services:
        run = service.pipeline
        last = Text(f"#{run.number} {run.status}", STATUS_STYLES.get(run.status, "")) if run else Text("none", "dim")
        if service.detail:
            last = Text(service.detail, "yellow")
        table.add_row(service.name, last, service.dev or "-", service.dev_url)
    return table


FLEXIBLE = {"health", "version", "process", "password kept in"}
"""Columns that a narrow terminal may break into lines; what people copy stays whole."""


def plain_table(*columns: str, head: bool = True) -> Table:
    """A table without lines; with `head`, the columns have titles."""
    table = Table(box=None, show_header=head, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        flexible = column in FLEXIBLE
        table.add_column(column, no_wrap=not flexible, overflow="fold", min_width=8 if flexible else None)
    return table
