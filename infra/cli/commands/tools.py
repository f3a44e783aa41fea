"""`forgeline tools`: get what the lab and the jobs need, and say where each tool comes from."""

from __future__ import annotations

import click

from infra.cli.app import App, json_option, pass_app
from infra.cli.commands.stack import bringing
from infra.operations.work import tool_names


def _named(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in tool_names() if name.startswith(incomplete)]


@click.command()
@click.argument("names", nargs=-1, shell_complete=_named)
@json_option
@pass_app
def tools(app: App, names: tuple[str, ...]) -> None:
    """Get every tool that is missing, or those named, and show each with its version and where it comes from.

    Tools are kept in the cache and shared by all stacks of this user; nothing is started.
    """
    found = bringing(app).tools(names)
    if app.as_json:
        app.print_json([tool.as_json() for tool in found.values()])
