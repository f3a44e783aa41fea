"""What a change of templates or catalogue means: per service and occasion, the jobs added, removed and changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from pipelines.context import Occasion
from pipelines.language.error import ConfigError
from pipelines.language.model import JobSpec
from pipelines.standard import GATES
from pipelines.subject import Subject

_NOT_KEYS = ("group", "stage_index", "name")
"""Fields of a job that follow from its name and from the other jobs."""


class Kind(StrEnum):
    """What happened to a job."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True)
class JobChange:
    """A job that is another one than before, on these occasions."""

    job: str
    kind: Kind
    keys: tuple[str, ...]
    """What of it is changed."""
    occasions: tuple[Occasion, ...]

    @property
    def gate(self) -> bool:
        """Whether a gate is touched."""
        return self.job in GATES

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the change's fields."""
        return {
            "job": self.job,
            "kind": str(self.kind),
            "keys": list(self.keys),
            "occasions": [str(one) for one in self.occasions],
            "gate": self.gate,
        }


@dataclass(frozen=True, kw_only=True)
class ServiceChange:
    """What changes for a service. `kind` is set where it has no pipeline before or after."""

    service: str
    kind: Kind | None
    jobs: tuple[JobChange, ...] = ()
    problem: str = ""
    """Why one of the two is no pipeline."""
    text_only: bool = False
    """Whether only what GitLab does not read is another: comments, order, quotes."""

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates that are touched."""
        return tuple(dict.fromkeys(change.job for change in self.jobs if change.gate))

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the change's fields."""
        return {
            "service": self.service,
            "kind": None if self.kind is None else str(self.kind),
            "jobs": [change.as_json() for change in self.jobs],
            "gates": list(self.gates),
            "problem": self.problem,
            "text_only": self.text_only,
        }


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[ServiceChange]:
    """What is changed from the pipelines `before` to those `after`, both by service; unchanged ones are left out."""
    changes = []
    for service in sorted({*before, *after}):
        if service not in before or service not in after:
            changes.append(ServiceChange(service=service, kind=Kind.ADDED if service in after else Kind.REMOVED))
        elif before[service] != after[service]:
            changes.append(_change(service, before[service], after[service]))
    return changes


def _change(service: str, before: str, after: str) -> ServiceChange:
    old, new = (Subject(file=f"{service}.yml", text=text, standard=True) for text in (before, after))
    for side, subject in (("before", old), ("after", new)):
        for pipeline in subject.pipelines.values():
            if isinstance(pipeline, ConfigError):
                return ServiceChange(service=service, kind=None, problem=f"{side}, GitLab refuses it: {pipeline.what}")
    found: dict[tuple[str, Kind, tuple[str, ...]], list[Occasion]] = {}
    for occasion in Occasion:
        for key in _job_changes(_jobs(old, occasion), _jobs(new, occasion)):
            found.setdefault(key, []).append(occasion)
    changes = tuple(
        JobChange(job=job, kind=kind, keys=keys, occasions=tuple(occasions))
        for (job, kind, keys), occasions in found.items()
    )
    return ServiceChange(service=service, kind=None, jobs=changes, text_only=not changes)


def _jobs(subject: Subject, occasion: Occasion) -> Mapping[str, JobSpec]:
    graph = subject.graphs.get(occasion)
    return graph.jobs if graph is not None else {}


def _job_changes(
    before: Mapping[str, JobSpec], after: Mapping[str, JobSpec]
) -> Iterator[tuple[str, Kind, tuple[str, ...]]]:
    for name in dict.fromkeys((*before, *after)):
        if name not in before or name not in after:
            yield name, Kind.ADDED if name in after else Kind.REMOVED, ()
        elif keys := changed_keys(before[name], after[name]):
            yield name, Kind.CHANGED, keys


def changed_keys(before: JobSpec, after: JobSpec) -> tuple[str, ...]:
    """The keys of a job that mean something else."""
    return tuple(
        field.name
        for field in fields(JobSpec)
        if field.name not in _NOT_KEYS and getattr(before, field.name) != getattr(after, field.name)
    )
