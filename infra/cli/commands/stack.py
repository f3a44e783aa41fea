"""`forgeline up`, `preview`, `refresh`, `drift`, `down`, `destroy`: the stack as a whole."""

from __future__ import annotations

import os

import click
from rich.text import Text

from infra.cli.app import App, json_option, pass_app, profile_option
from infra.cli.commands.status import server_table, service_table
from infra.core.error import BadInputError, ExitCode
from infra.core.settings import Placement
from infra.operations.bring_up import Bringing
from infra.operations.removal import Removal, plan_removal
from infra.operations.status import status as read_status
from infra.programs.plan import Op, Plan

STYLES = {Op.CREATE: "green", Op.UPDATE: "yellow", Op.REPLACE: "magenta", Op.DELETE: "red", Op.FORGET: "dim"}


def bringing(app: App) -> Bringing:
    """The work on this invocation's stack; settings and catalogue are read and checked here, before anything else."""
    return Bringing(app.settings, app.catalogue, os.environ, app.display)


@click.command()
@click.option("--refresh", is_flag=True, help="Read every server first, and undo what was changed there by hand.")
@click.option(
    "--no-build", is_flag=True, help="Of a stack in containers: take the images as the engine has them, build none."
)
@json_option
@profile_option
@pass_app
def up(app: App, refresh: bool, no_build: bool) -> None:
    """Bring the whole stack up, or finish what an earlier run began. Run again, it changes nothing and says so."""
    work = bringing(app)
    if no_build and app.settings.profile.placement is not Placement.DOCKER:
        raise BadInputError(
            "--no-build is for stacks in containers",
            where=app.settings.profile.name,
            fix="leave it out, or name a profile with `placement: docker`",
        )
    outcome = work.up(refresh=refresh, build=not no_build)
    if app.as_json:
        app.print_json(outcome.as_json())
        return
    found = read_status(app.settings, work.catalogue)
    seconds = sum(outcome.phases.values())
    app.out.print()
    app.out.print(server_table(found.servers))
    app.out.print(service_table(found.services))
    if not outcome.changed:
        app.out.print(f"Nothing to change. [dim]{seconds:.1f} s[/]")
        return
    changes = sum(len(plan.changes) for plan in outcome.plans)
    app.out.print(f"[green]The stack is up.[/] {changes} resources changed. [dim]{seconds:.1f} s[/]")
    app.out.print("Next:")
    program = app.program
    for command, what in (
        (f"{program} pipelines run --all --wait", "run every service's pipeline and follow them"),
        (f"{program} services", "the fleet: who owns what, what runs where"),
        (f"{program} onboard NAME", "another service, from nothing to its first green pipeline"),
        (f"{program} credentials", "how to sign in"),
        (f"{program} status", "this table again"),
        (f"{program} down", "stop everything, keep the data"),
    ):
        app.out.print(f"  {command:<{len(program) + 32}} [dim]{what}[/]", soft_wrap=True)


@click.command()
@json_option
@profile_option
@pass_app
def preview(app: App) -> None:
    """Show what `up` would do, and change nothing."""
    plans = bringing(app).preview()
    if app.as_json:
        app.print_json([vars(change) for plan in plans for change in plan.changes])
        return
    print_plans(app, plans, nothing="Nothing to change.")


@click.command()
@json_option
@profile_option
@pass_app
def refresh(app: App) -> None:
    """Take what the servers have into the state, without changing the servers."""
    plans = bringing(app).refresh()
    if app.as_json:
        app.print_json([vars(change) for plan in plans for change in plan.changes])
        return
    print_plans(app, plans, nothing="The state is what the servers have.")


@click.command()
@json_option
@profile_option
@pass_app
def drift(app: App) -> int:
    """Show what was changed on the servers by hand. Exit code 1 when there is something."""
    found = bringing(app).drift()
    if app.as_json:
        app.print_json([vars(item) for item in found])
    else:
        for item in found:
            app.out.print(Text(str(item)), soft_wrap=True)
        app.out.print(
            f"{len(found)} differences. [bold]fix:[/] forgeline up --refresh"
            if found
            else "The servers are as declared."
        )
    return ExitCode.FINDINGS if found else ExitCode.FINE


@click.command()
@profile_option
@pass_app
def down(app: App) -> None:
    """Stop every process of the stack and keep its data. `up` starts it again."""
    if app.settings.existing:
        app.err.print("Nothing was stopped: others run these servers.")
        return
    stopped = bringing(app).down()
    app.err.print("Everything is stopped; the data is kept." if stopped else "Nothing was running.")


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@profile_option
@pass_app
def destroy(app: App, yes: bool) -> None:
    """Stop everything and remove what Forgeline made: repositories, artifacts, secrets. Cached tools stay.

    On servers that others run, what was made there is removed, and what was adopted stays: the list is shown first.
    """
    state = app.settings.state
    if not state.is_dir():
        app.err.print(f"There is nothing at {state}.")
        return
    question = f"Remove the stack and all its data in {state}?"
    if app.settings.existing:
        removal = plan_removal(app.settings)
        _show_removal(app, removal)
        question = f"Remove these {len(removal.removed)} things from the servers, and {state}?"
    if not yes:
        click.confirm(question, abort=True, err=True)
    bringing(app).destroy()
    app.err.print(f"Removed. Tools are still cached in {app.settings.cache}.")


def _show_removal(app: App, removal: Removal) -> None:
    for word, names, style in (("removed", removal.removed, "red"), ("kept", removal.kept, "green")):
        for name in names:
            app.err.print(Text.assemble("  ", (f"{word:<8}", style), name), soft_wrap=True)
    app.err.print(f"{len(removal.removed)} things that Forgeline made go, {len(removal.kept)} that it adopted stay.")


def print_plans(app: App, plans: list[Plan], *, nothing: str) -> None:
    """The changes of each stack that has some."""
    changes = [change for plan in plans for change in plan.changes]
    for plan in plans:
        if plan.changes:
            app.out.print(Text(plan.stack, "bold"))
        for change in plan.changes:
            app.out.print(Text.assemble("  ", Text(str(change), STYLES[change.op])), soft_wrap=True)
    app.out.print(f"{len(changes)} resources would change." if changes else nothing)
