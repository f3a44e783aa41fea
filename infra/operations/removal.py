"""What `forgeline destroy` means where others run the servers: what was made from here goes, what was adopted stays."""

from __future__ import annotations

from dataclasses import dataclass

from infra.core.settings import Settings
from infra.programs.checkpoint import Checkpoints
from infra.provider.made import FILE, Made
from infra.provider.registry import KINDS


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Things on the servers, each by kind and id. `kept` were there before and were adopted."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]


def plan_removal(settings: Settings) -> Removal:
    """What would be removed and what kept, in the order of removal. Asks no server."""
    folder = settings.data("pulumi")
    made, checkpoints = Made(folder / FILE), Checkpoints(folder)
    removed: list[str] = []
    kept: list[str] = []
    for stack in sorted(checkpoints.names(), key=lambda name: not name.startswith("service-")):
        for recorded in reversed(checkpoints.resources(stack)):
            words = f"{KINDS[recorded.type].noun} {recorded.id}"
            (removed if made.holds(recorded.type, recorded.id) else kept).append(words)
    return Removal(removed=tuple(removed), kept=tuple(kept))
