"""`forgeline pipelines run`: start pipelines and follow them."""

from __future__ import annotations

import click

from infra.cli.app import App, json_option, pass_app
from infra.cli.service_name import SERVICE
from infra.clients.gitlab import GitLab
from infra.core.error import BadInputError, ExitCode
from infra.operations.pipeline_run import PipelineRun, follow, start
from infra.operations.status import gitlab_client
from pipelines.catalogue import Service


@click.command()
@click.argument("services", nargs=-1, type=SERVICE)
@click.option("--all", "everything", is_flag=True, help="Every service of the catalogue.")
@click.option("--ref", default="main", show_default=True, help="The branch or tag to run on.")
@click.option("--wait", is_flag=True, help="Follow them to their end; exit code 1 unless all are green.")
@click.option("--timeout", default=1800, show_default=True, help="Seconds to follow.")
@json_option
@pass_app
def run(app: App, services: tuple[str, ...], everything: bool, ref: str, wait: bool, timeout: int) -> int:
    """Start pipelines, and with --wait follow them live."""
    catalogue = app.catalogue
    if everything == bool(services):
        raise BadInputError("nothing says what to run", fix="name services, or give --all")
    chosen = list(catalogue) if everything else [catalogue.service(name) for name in services]
    gitlab = gitlab_client(app.settings)
    runs = [start(gitlab, service, ref) for service in chosen]
    if wait:
        runs = _followed(app, gitlab, runs, {service.name: service for service in chosen}, timeout)
    if app.as_json:
        app.print_json([run.as_json() for run in runs])
    elif not wait:
        for run in runs:
            app.out.print(f"{run.service:<22} #{run.number} {run.status}  {run.web_url}")
    if wait and not all(run.green for run in runs):
        return ExitCode.FINDINGS
    return ExitCode.FINE


def _followed(
    app: App, gitlab: GitLab, runs: list[PipelineRun], services: dict[str, Service], timeout: int
) -> list[PipelineRun]:
    with app.display.phase(f"{len(runs)} pipelines") as phase:
        ended = follow(gitlab, runs, services, phase, timeout=timeout)
    green = sum(run.green for run in ended)
    if not app.as_json:
        app.out.print(f"{green} of {len(ended)} pipelines are green.")
    return ended
