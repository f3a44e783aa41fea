"""`forgeline onboard`: a service from nothing, or from a repository that is there, to its first green pipeline."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from infra.cli.app import App, at_a_terminal, json_option, pass_app, profile_option
from infra.cli.onboard_view import show_onboard_plan, show_onboarded
from infra.cli.service_name import SERVICE
from infra.clients import trust
from infra.clients.repository import Repository, cloned
from infra.core.error import BadInputError, ExitCode
from infra.operations.onboard import Onboarding, OnboardPlan
from pipelines.adoption import detect
from pipelines.catalogue import Language, Tier
from pipelines.onboarding import OPTIONS, Placed, Wish, load_wishes

DEFAULT_TIMEOUT = 1800


class TeamOption(click.types.StringParamType):
    """A team, with or without an @, completed from the file of teams."""

    name = "@team"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The teams whose names begin so."""
        from infra.core.settings import load_settings
        from pipelines.team import load_teams

        names = load_teams(load_settings(os.environ).teams)
        return [CompletionItem(name) for name in names if name.startswith(incomplete.removeprefix("@"))]


@click.command()
@click.argument("name", required=False)
@click.option("--language", type=click.Choice([str(one) for one in Language]), help="What it is written in.")
@click.option(
    "--tier", type=click.Choice([str(one) for one in Tier]), help="How important it is: its coverage floor, its wave."
)
@click.option("--owner", "owners", type=TeamOption(), multiple=True, help="A team that owns it; may be repeated.")
@click.option("--description", help="What it is for: one line.")
@click.option("--depends-on", "dependencies", type=SERVICE, multiple=True, help="A service that it calls.")
@click.option("--port", type=int, help="Its port in the catalogue (default: the next that is free).")
@click.option("--language-version", help="The oldest that builds it (default: that of the language's other services).")
@click.option("--from", "source", metavar="FOLDER|URL", help="A git repository that it begins with, history and all.")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Many services in YAML.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--show-files", is_flag=True, help="Show the files of the plan with their whole content.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait/--no-wait", default=True, help="Follow the first pipeline to its end (default), or only start it."
)
@click.option("--timeout", default=DEFAULT_TIMEOUT, show_default=True, help="Seconds to follow.")
@json_option
@profile_option
@pass_app
def onboard(
    app: App,
    name: str | None,
    language: str | None,
    tier: str | None,
    owners: tuple[str, ...],
    description: str | None,
    dependencies: tuple[str, ...],
    port: int | None,
    language_version: str | None,
    source: str | None,
    file: Path | None,
    dry_run: bool,
    show_files: bool,
    yes: bool,
    wait: bool,
    timeout: int,
) -> int:
    """Make the service NAME: catalogue entry, pipeline, GitLab project, access to Nexus and Vault, first pipeline.

    Shows the plan and asks, unless --yes is given. Run again, it finishes what was interrupted, or changes nothing.
    Exit code 1 when the first pipeline is not green.
    """
    said: dict[str, object] = {
        "name": name,
        "language": language,
        "tier": tier,
        "owners": owners or None,
        "description": description,
        "dependencies": dependencies or None,
        "port": port,
        "language_version": language_version,
        "source": source,
    }
    if not (yes or dry_run or at_a_terminal()):
        raise BadInputError("nobody can be asked here, and nothing says yes", fix="give --yes, or --dry-run to look")

    def confirm(plan: OnboardPlan) -> None:
        show_onboard_plan(plan, app.err, whole=show_files)
        click.confirm("Do this?", abort=True, err=True)

    work = app.work()
    with ExitStack() as held:
        wishes, origins = _wishes(app, file, said, held)
        onboarding = Onboarding(
            work=work, confirm=None if yes else confirm, timeout=timeout if wait else None, origins=origins
        )
        done = onboarding.run(wishes, dry_run=dry_run)
    if app.as_json:
        app.print_json(done.as_json())
    elif dry_run:
        show_onboard_plan(done.plan, app.out, whole=show_files)
    else:
        show_onboarded(app, done, sum(work.seconds.values()))
    return ExitCode.FINE if done.green else ExitCode.FINDINGS


def _wishes(
    app: App, file: Path | None, said: dict[str, object], held: ExitStack
) -> tuple[list[Placed], dict[str, Repository]]:
    """What is wished for, and the repositories that it is to begin with, cloned for as long as `held` is open."""

    def clone(source: str) -> Repository:
        with app.display.phase("Repository") as progress:
            return held.enter_context(cloned(source, progress, trust.bundle(app.settings)))

    if file is not None:
        wishes = _from_file(file, said)
        return wishes, {one.wish.name: clone(one.wish.source) for one in wishes if one.wish.source is not None}
    origin = clone(str(said["source"])) if said["source"] is not None else None
    if origin is not None:
        found, _ = detect(origin, origin.source) if said["language"] is None else (said["language"], "")
        said["language"] = str(found)
    wish = _wish(app, said)
    return [Placed(wish=wish)], {wish.name: origin} if origin is not None else {}


def _from_file(file: Path, said: dict[str, object]) -> list[Placed]:
    given = [OPTIONS[key] for key, value in said.items() if value is not None]
    if given:
        raise BadInputError(
            f"{', '.join(given)} can't be combined with --file", fix="say it in the file, for each service"
        )
    return load_wishes(file)


def _wish(app: App, said: dict[str, object]) -> Wish:
    """The wish, with what is missing asked for if somebody is there. Raises BadInputError otherwise."""
    missing = [key for key in ("name", "language", "tier", "owners") if said[key] is None]
    if missing and not at_a_terminal():
        options = ", ".join(OPTIONS[key] for key in missing)
        raise BadInputError(f"{options} is missing", fix="give it: nobody can be asked here")
    for key in missing:
        said[key] = _asked(app, key)
    return Wish.model_validate(said)


def _asked(app: App, key: str) -> object:
    if key == "name":
        return click.prompt("Name", err=True)
    if key == "owners":
        return (click.prompt("Team that owns it", type=click.Choice(sorted(app.catalogue.teams)), err=True),)
    closed, default = (Language, Language.GO) if key == "language" else (Tier, Tier.NORMAL)
    return click.prompt(
        key.capitalize(), type=click.Choice([str(one) for one in closed]), default=str(default), err=True
    )
