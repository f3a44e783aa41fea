"""How a service's pipeline can be other than the catalogue and the templates say, told apart. Pure: it asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipelines.release import meaning, origin


class PipelineState(StrEnum):
    """What a service's pipeline is; the gravest first."""

    SETTING_ALTERED = "setting-altered"
    """GitLab's `ci_config_path` of the project was changed on the server."""
    RELEASED_FILE_ALTERED = "released-file-altered"
    """The tag no longer holds what was released under it."""
    CATALOGUE_CHANGED = "catalogue-changed"
    """The service's entry, a pinned tool or the profile was changed since the release."""
    TEMPLATE_NEWER = "template-newer"
    """The checkout's templates make another pipeline than the one that the service is on."""
    CLEAN = "clean"

    @property
    def remedy(self) -> str:
        """What to type against it; nothing where nothing is to be done."""
        return _REMEDIES[self]


_REMEDIES = {
    PipelineState.SETTING_ALTERED: "forgeline up --refresh",
    PipelineState.RELEASED_FILE_ALTERED: "forgeline pipelines release",
    PipelineState.CATALOGUE_CHANGED: "forgeline up",
    PipelineState.TEMPLATE_NEWER: "forgeline pipelines release",
    PipelineState.CLEAN: "",
}


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is known of a service's pipeline.

    `released` is the file in the pinned release as GitLab has it, `expected` as this checkout makes it under the same
    version, `altered` what is wrong with the release against its lock and Pulumi's state.
    `applied` is the `ci_config_path` that was last brought about, `actual` the server's, `pinned` the catalogue's.
    """

    service: str
    pipeline: str
    released: str | None
    expected: str
    altered: Sequence[str]
    pinned: str
    applied: str | None
    actual: str | None
    hold: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServiceDrift:
    """A service's `states`, the gravest first, each with a line that explains it; CLEAN alone where all is well."""

    service: str
    pipeline: str
    states: tuple[PipelineState, ...]
    details: tuple[str, ...]
    hold: str | None = None

    @property
    def state(self) -> PipelineState:
        """The gravest of the states."""
        return self.states[0]

    @property
    def drifted(self) -> bool:
        """Whether somebody has to do something. A service that is held is expected to be behind the templates."""
        expected = {PipelineState.CLEAN} | ({PipelineState.TEMPLATE_NEWER} if self.hold else set())
        return not set(self.states) <= expected

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the service's states."""
        return {
            "service": self.service,
            "pipeline": self.pipeline,
            "state": str(self.state),
            "states": [str(state) for state in self.states],
            "details": list(self.details),
            "hold": self.hold,
            "drifted": self.drifted,
        }


def judge(seen: Observed) -> ServiceDrift:
    """What is the matter with a service's pipeline."""
    found = sorted(_found(seen), key=lambda item: list(PipelineState).index(item[0]))
    states = tuple(dict.fromkeys(state for state, _ in found)) or (PipelineState.CLEAN,)
    details = tuple(detail for _, detail in found)
    return ServiceDrift(service=seen.service, pipeline=seen.pipeline, states=states, details=details, hold=seen.hold)


def _found(seen: Observed) -> Iterator[tuple[PipelineState, str]]:
    declared = seen.applied or seen.pinned
    if seen.actual is None:
        yield PipelineState.SETTING_ALTERED, "GitLab has no such project"
    elif seen.actual != declared:
        yield PipelineState.SETTING_ALTERED, f"ci_config_path is {seen.actual!r}, not {declared!r}"
    if seen.applied is not None and seen.applied != seen.pinned:
        yield PipelineState.CATALOGUE_CHANGED, f"{seen.pinned!r} is not brought about: run `forgeline up`"
    for line in seen.altered:
        yield PipelineState.RELEASED_FILE_ALTERED, line
    if seen.released is not None and not seen.altered:
        yield from _content(seen, seen.released)


def _content(seen: Observed, released: str) -> Iterator[tuple[PipelineState, str]]:
    """Why the released file is not what this checkout makes. The release itself is as it was made."""
    if meaning(released) == meaning(seen.expected):
        return
    old, new = origin(released), origin(seen.expected)
    if old is None or new is None or old == new:
        yield PipelineState.RELEASED_FILE_ALTERED, "what made it makes another file"
        return
    if old.inputs != new.inputs:
        yield PipelineState.CATALOGUE_CHANGED, f"its entry, a tool or the profile changed since {seen.pipeline}"
    if old.templates != new.templates:
        yield PipelineState.TEMPLATE_NEWER, f"the templates changed since {seen.pipeline}"
