"""What jobs wait for: it is there, it comes earlier, and it is there whenever they are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.core.document import nearest
from pipelines.context import Occasion
from pipelines.language.configuration import DEFAULT_STAGES, FIRST_STAGE, LAST_STAGE
from pipelines.language.error import ConfigError
from pipelines.rules.refusal import with_refusals
from pipelines.rules.rule import Spot, rule
from pipelines.script import Location
from pipelines.subject import Subject

_PARALLEL = re.compile(r"(?: \d+/\d+|: \[.*\])$")
_EXCLUDED = re.compile(r"'(.*)' job needs '(.*)' job, but '.*' does not exist in the pipeline")


@dataclass(frozen=True, kw_only=True)
class WrittenNeed:
    """One entry of a job's `needs`, or of the needs of one of its rules."""

    job: str
    other: str
    location: Location
    optional: bool
    artifacts: bool | None
    """None where nothing is said, which means true."""


def written_needs(subject: Subject) -> Iterator[WrittenNeed]:
    """Every need of a job of the same pipeline."""
    for job, value in subject.jobs.items():
        yield from _needs(subject, job, (job, "needs"), value.get("needs"))
        rules = value.get("rules")
        for index, item in enumerate(rules if isinstance(rules, list) else ()):
            if isinstance(item, dict):
                yield from _needs(subject, job, (job, "rules", index, "needs"), item.get("needs"))


def _needs(subject: Subject, job: str, path: tuple[str | int, ...], value: Any) -> Iterator[WrittenNeed]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _needs(subject, job, (*path, index), item)
        return
    if isinstance(value, str):
        yield WrittenNeed(job=job, other=value, location=subject.at(*path), optional=False, artifacts=None)
    if isinstance(value, dict) and isinstance(value.get("job"), str) and not {"pipeline", "project"} & value.keys():
        artifacts = value.get("artifacts")
        yield WrittenNeed(
            job=job,
            other=value["job"],
            location=subject.at(*path),
            optional=value.get("optional") is True,
            artifacts=artifacts if isinstance(artifacts, bool) else None,
        )


def written_name(subject: Subject, name: str) -> str | None:
    """The job that `name` means, which may be one of a parallel job's; None if there is none."""
    for one in (name, _PARALLEL.sub("", name)):
        if one in subject.jobs:
            return one
    return None


def stage_order(subject: Subject) -> dict[str, int]:
    """The stages and their places."""
    stages = subject.merged.get("stages")
    named = [one for one in stages if isinstance(one, str)] if isinstance(stages, list) else list(DEFAULT_STAGES)
    return {stage: index for index, stage in enumerate(dict.fromkeys((FIRST_STAGE, *named))) if stage != LAST_STAGE} | {
        LAST_STAGE: len(named) + 1
    }


def stage_of(subject: Subject, job: str) -> str:
    """The stage that a job is written in."""
    stage = subject.jobs[job].get("stage")
    return stage if isinstance(stage, str) else "test"


@rule("needs-undefined", remedy="name a job of this file, or remove the need")
def needs_exist(subject: Subject) -> Iterator[Spot]:
    """Every name in `needs` is a job."""
    yield from with_refusals(subject, "needs-undefined", _undefined(subject))


def _undefined(subject: Subject) -> Iterator[Spot]:
    if subject.unread:
        return  # The job may be in a file that was not followed.
    for need in written_needs(subject):
        if written_name(subject, need.other) is None and not need.optional:
            fix = nearest(need.other, subject.jobs)
            message = f"job {need.job!r} needs {need.other!r}, which is not a job"
            yield Spot(message=message, location=need.location, fix=fix)


@rule("needs-later-stage", remedy="move one of the two jobs to another stage")
def needs_are_not_later(subject: Subject) -> Iterator[Spot]:
    """No job needs one of a later stage."""
    yield from with_refusals(subject, "needs-later-stage", _later(subject))


def _later(subject: Subject) -> Iterator[Spot]:
    order = stage_order(subject)
    for need in written_needs(subject):
        other = written_name(subject, need.other)
        if other is None:
            continue
        here, there = stage_of(subject, need.job), stage_of(subject, other)
        if here in order and there in order and order[there] > order[here]:
            message = f"job {need.job!r} of stage {here!r} needs {need.other!r} of the later stage {there!r}"
            yield Spot(message=message, location=need.location)


@rule("needs-cycle", remedy="remove one of these needs")
def needs_go_one_way(subject: Subject) -> Iterator[Spot]:
    """No job needs itself, by whatever detour."""
    yield from with_refusals(subject, "needs-cycle", _circles(subject))


def _circles(subject: Subject) -> Iterator[Spot]:
    needed: dict[str, dict[str, Location]] = {job: {} for job in subject.jobs}
    for need in written_needs(subject):
        other = written_name(subject, need.other)
        if other is not None:
            needed[need.job].setdefault(other, need.location)
    finished: set[str] = set()
    for start, first in needed.items():
        trail: list[str] = []
        stack = [(start, iter(first))] if start not in finished else []
        trail += [start] if stack else []
        while stack:
            name, rest = stack[-1]
            target = next((one for one in rest if one not in finished), None)
            if target is None:
                finished.add(trail.pop())
                stack.pop()
            elif target in trail:
                circle = " -> ".join([*trail[trail.index(target) :], target])
                yield Spot(message=f"jobs need each other in a circle: {circle}", location=needed[name][target])
            else:
                trail.append(target)
                stack.append((target, iter(needed[target])))


@rule("needs-excluded", remedy="give both jobs the same rules, or mark the need `optional: true`")
def needs_are_there_together(subject: Subject) -> Iterator[Spot]:
    """On no occasion does a job need one that its rules leave out."""
    yield from with_refusals(subject, "needs-excluded", _excluded(subject))


def _excluded(subject: Subject) -> Iterator[Spot]:
    found: dict[tuple[str, str], list[Occasion]] = defaultdict(list)
    for occasion, result in subject.pipelines.items():
        for message in result.messages if isinstance(result, ConfigError) else ():
            match = _EXCLUDED.match(message)
            if match:
                found[match[1], match[2]].append(occasion)
    for (name, other), occasions in found.items():
        job = written_name(subject, name) or name
        meant = (other, _PARALLEL.sub("", other))
        places = [need.location for need in written_needs(subject) if need.job == job and need.other in meant]
        message = f"job {name!r} needs {other!r}, which its rules leave out on: {', '.join(occasions)}"
        yield Spot(message=message, location=places[0] if places else subject.at(job))
