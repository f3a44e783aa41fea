"""`forgeline pipelines`: render, check and run the services' pipelines."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem
from rich.markup import escape

from infra.cli.app import App, pass_app
from infra.cli.commands.catalogue import schema
from infra.cli.commands.rollout import drift, release, rollout
from infra.clients.gitlab import GitLab
from infra.core.error import BadInputError, ExitCode
from infra.core.finding import Finding
from infra.operations.pipeline_run import PipelineRun, follow, start
from infra.operations.status import gitlab_client
from pipelines.catalogue import CATALOG, Service
from pipelines.check import check_pipelines
from pipelines.render import Context, render_pipeline, render_release


class ServiceName(click.types.StringParamType):
    """The name of a service of the catalogue, completed from its files."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The services whose names begin so."""
        return [
            CompletionItem(path.stem) for path in sorted(CATALOG.glob("*.yaml")) if path.stem.startswith(incomplete)
        ]


SERVICE = ServiceName()


@click.group()
def pipelines() -> None:
    """Render, check, run, release and roll out the services' pipelines."""


for _command in (release, rollout, drift, schema):
    pipelines.add_command(_command)


@pipelines.command()
@click.argument("service", type=SERVICE, required=False)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write all files into this folder.")
@pass_app
def render(app: App, service: str | None, out: Path | None) -> None:
    """Print one service's pipeline, or write all of them into a folder."""
    catalogue = app.catalogue
    context = Context.of(catalogue, app.settings)
    if service is not None:
        click.echo(render_pipeline(catalogue.service(service), context, app.templates), nl=False)
        return
    if out is None:
        raise BadInputError("nothing says what to render", fix="name a service, or give --out FOLDER for all of them")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in render_release(catalogue, context, app.templates).items():
        (out / name).write_text(text, encoding="utf-8")
    app.err.print(f"{len(catalogue)} pipelines of release {catalogue.release} are in {out}.")


@pipelines.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@pass_app
def check(app: App, files: tuple[Path, ...]) -> int:
    """Prove the rendered pipelines of all services, or the FILES given. Exit code 1 when something is found."""
    if files:
        texts = {str(path): path.read_text(encoding="utf-8", errors="replace") for path in files}
    else:
        catalogue = app.catalogue
        rendered = render_release(catalogue, Context.of(catalogue, app.settings), app.templates)
        texts = {name: text for name, text in rendered.items() if name.endswith(".yml")}
    findings = check_pipelines(texts)
    show_findings(app, findings, f"{len(texts)} pipelines, nothing found.")
    return ExitCode.FINDINGS if findings else ExitCode.FINE


@pipelines.command()
@click.argument("services", nargs=-1, type=SERVICE)
@click.option("--all", "everything", is_flag=True, help="Every service of the catalogue.")
@click.option("--ref", default="main", show_default=True, help="The branch or tag to run on.")
@click.option("--wait", is_flag=True, help="Follow them to their end; exit code 1 unless all are green.")
@click.option("--timeout", default=1800, show_default=True, help="Seconds to follow.")
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


def show_findings(app: App, findings: list[Finding], nothing: str) -> None:
    """The findings, a line each, or the words for none."""
    if app.as_json:
        app.print_json([finding.as_json() for finding in findings])
        return
    for finding in findings:
        app.out.print(f"{escape(finding.where)}: [red]{finding.severity}[/] [{finding.rule}] {escape(finding.message)}")
        if finding.fix:
            app.out.print(f"  [bold]fix:[/] {escape(finding.fix)}")
    app.out.print(f"{len(findings)} findings." if findings else nothing)
