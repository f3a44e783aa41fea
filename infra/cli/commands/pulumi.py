"""`forgeline pulumi`: the plain Pulumi command on the same stacks."""

from __future__ import annotations

import os

import click

from infra.cli.app import App, pass_app
from infra.operations import plain


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="ARGUMENTS…")
@pass_app
def pulumi(app: App, arguments: tuple[str, ...]) -> int:
    """Run the plain Pulumi command on the stacks, such as `forgeline pulumi preview --stack platform`.

    It finds the state, and what opens it, by itself. The stacks are foundation, platform and service-NAME.
    """
    return plain.run(app.settings, arguments, os.environ)
