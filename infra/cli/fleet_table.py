"""How the fleet looks on a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from infra.cli.commands.status import STATUS_STYLES, plain_table
from infra.cli.drift_view import states_text
from infra.operations.fleet_view import FleetRow, FleetView
from pipelines.catalogue import Environment

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def fleet_table(view: FleetView) -> RenderableType:
    """The services, a line each."""
    shown = plain_table(
        "service", "tier", "owner", "language", "release", "last pipeline", *map(str, Environment), "drift"
    )
    for row in view.rows:
        service = row.service
        owners = ", ".join(service.owners)
        versions = [row.versions.get(name) or "-" for name in map(str, Environment)]
        last = _last(row, row.age(view.moment))
        shown.add_row(
            service.name, str(service.tier), owners, str(service.language), _release(row), last, *versions, _drift(row)
        )
    return shown


def age(seconds: float) -> str:
    """A time that has passed, in its largest whole unit."""
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "now"


def _release(row: FleetRow) -> Text:
    pinned = row.service.pipeline
    behind = row.newest is not None and row.newest != pinned
    return Text.assemble(pinned, (f" ({row.newest} is out)", "yellow") if behind else "")


def _last(row: FleetRow, seconds: float | None) -> Text:
    run = row.run
    if run is None:
        return Text("not known", "yellow") if row.problems else Text("none", "dim")
    ago = f" {age(seconds)}" if seconds is not None else ""
    return Text.assemble((f"#{run.number} {run.status}", STATUS_STYLES.get(run.status, "")), (ago, "dim"))


def _drift(row: FleetRow) -> Text:
    if row.drift is None:
        return Text("not known", "yellow")
    return Text.assemble(states_text(row.drift), (" (held)", "dim") if row.drift.hold else "")
