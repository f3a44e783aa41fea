"""`forgeline runner`: this machine made fit for the jobs of a GitLab that others run."""

from __future__ import annotations

import click

from infra.cli.app import App, json_option, pass_app, profile_option
from infra.operations.runner_template import runner_template


@click.command()
@json_option
@profile_option
@pass_app
def runner(app: App) -> None:
    """Get what jobs need on this machine, and print the template with which a runner is registered here.

    For a GitLab that others run; on the runner's machine, as the runner's user. Keep what is printed in a file, and
    give that to `gitlab-runner register --template-config`. Registers and starts nothing; there is no secret in it.
    """
    template = runner_template(app.work())
    if app.as_json:
        app.print_json({"template": template})
        return
    click.echo(template, nl=False)
