"""`forgeline pipelines render`, `check`, `explain`, `diff`: what needs no server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import click
from click.shell_completion import CompletionItem

from infra.cli.app import App, json_option, pass_app
from infra.cli.finding_view import show_findings
from infra.cli.pipeline_view import show_changes, show_explanation
from infra.cli.service_name import SERVICE
from infra.core.document import nearest
from infra.core.error import BadInputError, ExitCode
from infra.core.finding import Severity
from pipelines.check import Manner, check_files, prove_services
from pipelines.context import Occasion
from pipelines.difference import differences
from pipelines.drawing import as_mermaid
from pipelines.explain import explain as explanation
from pipelines.ledger import Ledger
from pipelines.picture import as_svg
from pipelines.render import Context, render_pipeline, render_release
from pipelines.rendition import rendered_at
from pipelines.subject import Subject


class OccasionName(click.ParamType[Occasion]):
    """An occasion by its name or by a shorter one."""

    name = "occasion"
    short: ClassVar[dict[str, Occasion]] = {"mr": Occasion.MERGE_REQUEST, "tag": Occasion.RELEASE_TAG}

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Occasion:
        """The occasion that `value` names."""
        known = {**{str(one): one for one in Occasion}, **self.short}
        if value not in known:
            self.fail(f"there is no occasion {value!r} ({nearest(value, known)})", param, ctx)
        return known[value]

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The names that begin so."""
        return [CompletionItem(str(name)) for name in (*Occasion, *self.short) if name.startswith(incomplete)]


OCCASION = OccasionName()
PROCESSES = os.cpu_count() or 1


@click.command()
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


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--standard", is_flag=True, help="Hold FILES to the rules of Forgeline's own pipelines too.")
@json_option
@pass_app
def check(app: App, files: tuple[Path, ...], standard: bool) -> int:
    """Prove the rendered pipelines of all services, or the FILES given: anybody's .gitlab-ci.yml.

    Exit code 1 when something is found; notes alone do not count.
    """
    ledger = Ledger(app.settings.cache)
    if files:
        manner = Manner(standard=standard, follow=not standard, ledger=ledger, processes=PROCESSES)
        findings, number = check_files(files, manner), len(files)
    else:
        catalogue = app.catalogue
        manner = Manner(ledger=ledger, processes=PROCESSES)
        context = Context.of(catalogue, app.settings)
        findings, number = prove_services(list(catalogue), context, manner, app.templates), len(catalogue)
    show_findings(app, findings, f"{number} pipelines, nothing found.")
    return ExitCode.FINDINGS if any(one.severity is not Severity.NOTE for one in findings) else ExitCode.FINE


@click.command()
@click.argument("service", type=SERVICE)
@click.option("--ref", type=OCCASION, help="main, tag, mr, branch, schedule or unprotected-tag (default: all of them).")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "svg"]),
    default="text",
    show_default=True,
    help="A drawing is of one occasion: without --ref, of a release tag.",
)
@json_option
@pass_app
def explain(app: App, service: str, ref: Occasion | None, form: str) -> None:
    """Say which jobs of SERVICE run on which occasion, why, and what they wait for."""
    catalogue = app.catalogue
    text = render_pipeline(catalogue.service(service), Context.of(catalogue, app.settings), app.templates)
    subject = Subject(file=f"{service}.yml", text=text, standard=True)
    wanted = [ref] if ref else list(Occasion)
    if app.as_json:
        app.print_json([explanation(subject, occasion).as_json() for occasion in wanted])
    elif form != "text":
        graph = explanation(subject, ref or Occasion.RELEASE_TAG).graph
        if graph is None:
            raise BadInputError(f"there is no pipeline of {service} on this occasion", fix="choose another --ref")
        click.echo(as_svg(graph) if form == "svg" else as_mermaid(graph), nl=False)
    else:
        for occasion in wanted:
            show_explanation(app, explanation(subject, occasion), with_reasons=ref is not None)


@click.command()
@click.option(
    "--against",
    default="HEAD",
    show_default=True,
    metavar="REF|FOLDER",
    help="A git ref of this repository, a folder of rendered pipelines, or another checkout.",
)
@json_option
@pass_app
def diff(app: App, against: str) -> None:
    """Say what this checkout's templates and catalogue change for each service."""
    catalogue = app.catalogue
    context = Context.of(catalogue, app.settings)
    after = {service.name: render_pipeline(service, context, app.templates) for service in catalogue}
    changes = differences(rendered_at(against, profile=app.profile), after)
    if app.as_json:
        app.print_json({"against": against, "services": len(after), "changes": [one.as_json() for one in changes]})
    else:
        show_changes(app, changes, len(after), against)
