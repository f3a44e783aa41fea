"""The `forgeline` command: parses, calls, shows."""

from __future__ import annotations

import sys

import click

from infra.cli.app import App, run
from infra.cli.commands import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--profile", metavar="NAME|FILE", help="Where the servers are (default: $FORGELINE_PROFILE, else lab).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@click.version_option(package_name="forgeline", message="forgeline %(version)s")
@click.pass_context
def forgeline(context: click.Context, profile: str | None, as_json: bool) -> None:
    """A CI/CD platform as code: GitLab, Nexus and Vault, with the pipelines of ten services.

    Start with `forgeline up`. Exit codes: 0 fine, 1 findings or drift, 2 bad input, 3 a server or tool failed,
    70 a bug, 130 interrupted.
    """
    context.obj = App(profile=profile, as_json=as_json)


def main() -> None:
    """Entry point of the `forgeline` command."""
    sys.exit(run(forgeline, sys.argv[1:]))
