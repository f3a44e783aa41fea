"""`forgeline tools`: get what the lab and the jobs need, and say where each tool comes from."""

from __future__ import annotations

import click

from infra.cli.app import App, json_option, pass_app
from infra.cli.commands.stack import bringing


@click.command()
@json_option
@pass_app
def tools(app: App) -> None:
    """Get every tool that is missing, and show each with its version and where it comes from.

    Tools are kept in the cache and shared by all stacks of this user; nothing is started.
    """
    found = bringing(app).tools()
    if app.as_json:
        app.print_json([tool.as_json() for tool in found.values()])
