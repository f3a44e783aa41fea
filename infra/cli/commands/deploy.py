"""`forgeline deploy`: one published version of a service into an environment."""

from __future__ import annotations

import os

import click

from infra.cli.app import App, json_option, pass_app
from infra.cli.service_name import SERVICE
from infra.core.error import BadInputError
from infra.operations.deploy import deploy as run_deploy
from infra.operations.deploy import go_back


@click.command()
@click.argument("service", type=SERVICE)
@click.option("--environment", default="dev", show_default=True, help="Where to.")
@click.option("--version", "version", help="A published version, such as 1.0.7.")
@click.option("--back-from", help="Return to the release before this version, unless another runs already.")
@json_option
@pass_app
def deploy(app: App, service: str, environment: str, version: str | None, back_from: str | None) -> None:
    """Fetch, check, switch to and prove a published version; on failure the previous one is back.

    With --version, needs NEXUS_USERNAME and NEXUS_PASSWORD of a reader, which a deploy job gets from OpenBao.
    """
    chosen = app.catalogue.service(service)
    with app.display.phase(f"Deploy {service} to {environment}") as phase:
        if version is not None and back_from is None:
            result = run_deploy(app.settings, app.catalogue, chosen, environment, version, phase, os.environ)
        elif back_from is not None and version is None:
            result = go_back(app.settings, app.catalogue, chosen, environment, back_from, phase, os.environ)
        else:
            raise BadInputError("nothing says what to deploy", fix="give either --version or --back-from")
    if app.as_json:
        app.print_json(vars(result))
        return
    app.out.print(f"{result.service} {result.version} serves at {result.url}")
