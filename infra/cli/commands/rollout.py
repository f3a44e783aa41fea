"""`forgeline pipelines release`, `rollout` and `drift`: a new release of the pipelines, and who is on which."""

from __future__ import annotations

import click
from rich.table import Table
from rich.text import Text

from infra.cli.app import App, json_option, pass_app
from infra.cli.drift_view import states_text
from infra.core.error import ExitCode
from infra.operations.pipeline_drift import pipeline_drift
from infra.operations.release import ReleasePlan, Releasing
from infra.operations.rollout import Halt, RollingOut, RolloutResult
from infra.programs.plan import Change
from pipelines.drift import ServiceDrift
from pipelines.wave import RolloutPlan

DEFAULT_TIMEOUT = 1800


class Names(click.ParamType[tuple[str, ...]]):
    """Names with commas between them."""

    name = "name,…"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ARG002 - click's signature
        """The names, each once."""
        if isinstance(value, tuple):
            return value
        return tuple(dict.fromkeys(name.strip() for name in str(value).split(",") if name.strip()))


NAMES = Names()


@click.command()
@click.argument("version", metavar="[vX.Y.Z]", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would be published, and change nothing.")
@json_option
@pass_app
def release(app: App, version: str | None, dry_run: bool) -> None:
    """Prove the rendered pipelines and publish them as a protected tag. No service moves to it by that.

    The version is the one in release.yaml; named here, it must be the same. A release never changes: other content
    needs another version. Run again, it completes what was interrupted, or changes nothing.
    """
    work = app.work()
    plan = Releasing(work).run(version, dry_run=dry_run)
    if app.as_json:
        app.print_json({**plan.as_json(), "dry_run": dry_run, "writes": work.writes})
        return
    _show_release(app, plan, dry_run=dry_run)


@click.command()
@click.argument("version", metavar="vX.Y.Z")
@click.option("--wave", "waves", type=NAMES, default=(), help="Only these: canary, normal, important, core.")
@click.option("--services", type=NAMES, default=(), help="Only these services, as one wave.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option("--rollback", is_flag=True, help="Return every service that was moved to the release that it had.")
@click.option("--timeout", default=DEFAULT_TIMEOUT, show_default=True, help="Seconds to follow a wave's pipelines.")
@json_option
@pass_app
def rollout(
    app: App,
    version: str,
    waves: tuple[str, ...],
    services: tuple[str, ...],
    dry_run: bool,
    rollback: bool,
    timeout: int,
) -> int:
    """Move services to a published release, wave by wave, and follow their pipelines.

    Each wave's services are pinned to it in their catalogue files, their projects are set, and their pipelines run on
    main. When one is not green the roll-out halts (exit code 1). Run again, it goes on where it was.

    With --rollback all services return at once; then their pipelines run, and exit code 1 tells that one is not green.
    """
    if rollback and (waves or services):
        raise click.UsageError("--rollback returns everything that was moved: leave --wave and --services out")
    work = RollingOut(work=app.work(), version=version, timeout=timeout)
    result = work.run(waves=waves, services=services, back=rollback, dry_run=dry_run)
    if app.as_json:
        app.print_json(result.as_json())
    else:
        _show_rollout(app, result, back=rollback)
    return ExitCode.FINDINGS if result.halt else ExitCode.FINE


@click.command()
@json_option
@pass_app
def drift(app: App) -> int:
    """Tell of each service's pipeline whether it is what it should be. Reads only.

    States: clean, catalogue-changed, template-newer, released-file-altered, setting-altered. Exit code 0 when all are
    clean (a service on hold may be behind the templates), 1 otherwise.
    """
    with app.display.phase("Pipelines") as phase:
        found = pipeline_drift(app.settings, app.catalogue, phase)
    drifted = [item for item in found if item.drifted]
    if app.as_json:
        app.print_json([item.as_json() for item in found])
    else:
        app.out.print(_drift_table(found))
        app.out.print(f"{len(drifted)} of {len(found)} pipelines drifted." if drifted else "All as declared.")
    return ExitCode.FINDINGS if drifted else ExitCode.FINE


def _show_release(app: App, plan: ReleasePlan, *, dry_run: bool) -> None:
    since = f" since {plan.previous}" if plan.previous else ""
    for change in plan.changes:
        pin = plan.pins.get(change.service)
        now = f"  {change.service} is on {pin} now" if pin else ""
        app.out.print(Text.assemble("  ", str(change), (now, "dim")), soft_wrap=True)
    if not plan.published:
        app.out.print(f"{len(plan.affected)} of {len(plan.pins)} services would get another pipeline{since}.")
    _show_changes(app, plan.stack.changes if plan.stack else ())
    if dry_run:
        app.out.print(f"{plan.version} {'is published already' if plan.published else 'would be published'}.")
    elif plan.published:
        app.out.print(f"{plan.version} is published already. Nothing to change.")
    else:
        app.out.print(f"[green]{plan.version} is published.[/] No service was moved.")
        app.out.print(f"Next: forgeline pipelines rollout {plan.version} --dry-run")


def _show_rollout(app: App, result: RolloutResult, *, back: bool) -> None:
    plan = result.plan
    app.out.print(_plan_table(plan))
    for stay in plan.stays:
        app.out.print(Text(f"  left alone: {stay.service} on {stay.pipeline or '-'}: {stay.reason}", "dim"))
    _show_changes(app, result.changes)
    if result.halt is not None:
        _show_halt(app, plan, result.halt, back=back)
    elif not plan.moves:
        app.out.print("Nothing to move.")
    elif result.dry_run:
        app.out.print(f"{_services(plan)} would be moved.")
    elif back:
        app.out.print(f"[green]{_services(plan)} moved back[/], every pipeline is green.")
        app.out.print("Next: commit the catalogue files, which pin what was before.")
    else:
        app.out.print(f"[green]{_services(plan)} moved to {plan.version}[/], every pipeline is green.")
        app.out.print("Next: commit the catalogue files, which pin it now.")


def _services(plan: RolloutPlan) -> str:
    return "1 service" if len(plan.moves) == 1 else f"{len(plan.moves)} services"


def _plan_table(plan: RolloutPlan) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("wave", "service", "from", "to"):
        table.add_column(column, no_wrap=True)
    for move in plan.moves:
        table.add_row(move.wave, move.service, move.before, move.after)
    return table


def _show_changes(app: App, changes: tuple[Change, ...]) -> None:
    for change in changes:
        app.out.print(Text(f"  {change.stack}: {change}", "dim"), soft_wrap=True)


def _show_halt(app: App, plan: RolloutPlan, halt: Halt, *, back: bool) -> None:
    so_far = f"{_services(plan)} moved back, and not all are green" if back else f"Halted in wave {halt.wave}"
    app.out.print(Text(f"{so_far}: {halt.service}: {halt.reason}", "bold red"), soft_wrap=True)
    app.out.print(Text(f"  {halt.web_url}"), soft_wrap=True)
    for line in halt.log:
        app.out.print(Text(f"  | {line}", "dim"), soft_wrap=True)
    app.out.print("Next:")
    again = f"forgeline pipelines rollout {plan.version}"
    if back:
        app.out.print(f"  {again + ' --rollback':<50} [dim]look again, once that is mended[/]")
        return
    app.out.print(f"  {again:<50} [dim]try again, once what is wrong with the service is mended[/]")
    app.out.print(f"  {again + ' --rollback':<50} [dim]return what was moved; a mended template is a new release[/]")


def _drift_table(found: list[ServiceDrift]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("service", "release", "state", "why"):
        table.add_column(column, no_wrap=column != "why")
    for item in found:
        states = states_text(item)
        held = [f"on hold: {item.hold}"] if item.hold else []
        table.add_row(item.service, item.pipeline, states, "; ".join([*item.details, *held]))
    return table
