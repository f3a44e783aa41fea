"""`forgeline deploy`: one published version of a service into an environment."""

from __future__ import annotations

import os

import click

from infra.cli.app import App, pass_app
from infra.cli.commands.pipelines import SERVICE
from infra.operations.deploy import deploy as run_deploy


@click.command()
@click.argument("service", type=SERVICE)
@click.option("--environment", default="dev", show_default=True, help="Where to.")
@click.option("--version", "version", required=True, help="A published version, such as 1.0.7.")
@pass_app
def deploy(app: App, service: str, environment: str, version: str) -> None:
    """Fetch, check, switch to and prove a published version; on failure the previous one is back.

    Needs NEXUS_USERNAME and NEXUS_PASSWORD of a reader, which a deploy job gets from OpenBao.
    """
    chosen = app.catalogue.service(service)
    with app.display.phase(f"Deploy {service} to {environment}") as phase:
        result = run_deploy(app.settings, chosen, environment, version, phase, os.environ)
    if app.as_json:
        app.print_json(vars(result))
        return
    app.out.print(f"{result.service} {result.version} serves at {result.url}")
