"""A roll-out as data: which services move to a pipeline release, in which order, and which are left alone and why.

Pure: the plan that a dry run prints is the plan that the run carries out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from infra.core.document import nearest
from infra.core.error import BadInputError
from pipelines.catalogue import Catalogue, Service


class Wave(StrEnum):
    """The waves in the order in which they go: what matters least comes first."""

    CANARY = "canary"
    """Services with `canary: true`, whatever their tier."""
    NORMAL = "normal"
    IMPORTANT = "important"
    CORE = "core"


NAMED = "named"
"""The one wave of a roll-out to services that were named."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """A service that goes from one release to another."""

    service: str
    wave: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.service}: {self.before} -> {self.after}"


@dataclass(frozen=True, kw_only=True)
class Stay:
    """A service that is left alone."""

    service: str
    pipeline: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RolloutPlan:
    """What a roll-out does. `moves` are in the order of the waves."""

    version: str
    moves: tuple[Move, ...]
    stays: tuple[Stay, ...]

    @property
    def waves(self) -> tuple[str, ...]:
        """The waves that have something to do, in their order."""
        return tuple(dict.fromkeys(move.wave for move in self.moves))

    def of_wave(self, wave: str) -> tuple[Move, ...]:
        """The moves of one wave."""
        return tuple(move for move in self.moves if move.wave == wave)

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the plan's parts."""
        return {
            "version": self.version,
            "moves": [vars(move) for move in self.moves],
            "stays": [vars(stay) for stay in self.stays],
        }


def wave_of(service: Service) -> Wave:
    """The wave that a service goes with."""
    return Wave.CANARY if service.canary else Wave(service.tier)


def plan_rollout(
    catalogue: Catalogue,
    version: str,
    *,
    waves: Sequence[str] = (),
    services: Sequence[str] = (),
    begun: Mapping[str, str] | None = None,
) -> RolloutPlan:
    """What a roll-out to `version` does: of all services, of those of some waves, or of those that are named.

    `begun` has services that an earlier run of this roll-out began to move and did not finish, with the release that
    each had before: they belong to the plan though their files may say `version` already.
    Raises BadInputError for a name that isn't known.
    """
    begun = begun or {}
    if waves and services:
        raise BadInputError("both waves and services are named", fix="give --wave or --services, not both")
    for wave in waves:
        if wave not in set(Wave):
            raise BadInputError(f"there is no wave {wave!r}", fix=nearest(wave, map(str, Wave)))
    chosen = [catalogue.service(name) for name in dict.fromkeys(services)] or [
        service for service in catalogue if not waves or wave_of(service) in waves
    ]
    moves: list[Move] = []
    stays: list[Stay] = []
    for service in chosen:
        before = begun.get(service.name, service.pipeline)
        if service.hold and service.name not in begun:
            stays.append(Stay(service=service.name, pipeline=service.pipeline, reason=service.hold.reason))
        elif before == version:
            stays.append(Stay(service=service.name, pipeline=version, reason=f"is on {version} already"))
        else:
            wave = NAMED if services else str(wave_of(service))
            moves.append(Move(service=service.name, wave=wave, before=before, after=version))
    order = {str(wave): index for index, wave in enumerate(Wave)}
    moves.sort(key=lambda move: (order.get(move.wave, 0), move.service))
    return RolloutPlan(version=version, moves=tuple(moves), stays=tuple(stays))
