"""What jobs hand on: what one takes another has made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.core.document import nearest
from pipelines.rules.need import stage_of, stage_order, written_name, written_needs
from pipelines.rules.refusal import with_refusals
from pipelines.rules.rule import Spot, rule
from pipelines.subject import Subject

MAKERS = frozenset({"build", "package", "sbom"})
"""Jobs of the standard that are there for what they leave."""


@rule("dependency-undefined", remedy="name an earlier job of this file, which is also in `needs` if there are any")
def dependencies_exist(subject: Subject) -> Iterator[Spot]:
    """Every name in `dependencies` is an earlier job."""
    yield from with_refusals(subject, "dependency-undefined", _bad_dependencies(subject))


def _bad_dependencies(subject: Subject) -> Iterator[Spot]:
    order = stage_order(subject)
    for job, index, name in _dependencies(subject):
        other = written_name(subject, name)
        place = subject.at(job, "dependencies", index)
        if other is None and not subject.unread:
            message = f"job {job!r} depends on {name!r}, which is not a job"
            yield Spot(message=message, location=place, fix=nearest(name, subject.jobs))
        elif other is not None and order.get(stage_of(subject, other), 0) > order.get(stage_of(subject, job), 0):
            yield Spot(message=f"job {job!r} depends on {name!r} of a later stage", location=place)


def _dependencies(subject: Subject) -> Iterator[tuple[str, int, str]]:
    for job, value in subject.jobs.items():
        names = value.get("dependencies")
        for index, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str):
                yield job, index, name


@rule("artifact-missing", remedy="give the other job `artifacts`, or do not take any from it (`artifacts: false`)")
def taken_artifacts_are_made(subject: Subject) -> Iterator[Spot]:
    """No job takes artifacts from one that leaves none."""
    for job, index, name in _dependencies(subject):
        other = written_name(subject, name)
        if other is not None and not _leaves_artifacts(subject, other):
            message = f"job {job!r} takes artifacts from {name!r}, which leaves none"
            yield Spot(message=message, location=subject.at(job, "dependencies", index))
    for need in written_needs(subject):
        other = written_name(subject, need.other)
        # Without a word about artifacts, a need is mostly meant for the order; Forgeline's own say what they mean.
        means = subject.standard and need.artifacts is None and other in MAKERS
        if other is not None and (need.artifacts or means) and not _leaves_artifacts(subject, other):
            message = f"job {need.job!r} takes artifacts from {need.other!r}, which leaves none"
            yield Spot(message=message, location=need.location)


def _leaves_artifacts(subject: Subject, job: str) -> bool:
    value: Any = subject.jobs[job]
    default = subject.merged.get("default")
    artifacts = value.get("artifacts") or (default.get("artifacts") if isinstance(default, dict) else None)
    if not isinstance(artifacts, dict):
        return "trigger" in value
    return bool(artifacts.get("paths") or artifacts.get("untracked") or artifacts.get("reports"))


@rule("dotenv-unwritten", remedy="let the script write the file, or remove the report")
def dotenv_files_are_written(subject: Subject) -> Iterator[Spot]:
    """Every dotenv report is a file that the job's script speaks of."""
    for job, value in subject.jobs.items():
        artifacts = value.get("artifacts")
        reports = artifacts.get("reports") if isinstance(artifacts, dict) else None
        written = reports.get("dotenv") if isinstance(reports, dict) else None
        text = subject.script(job).text
        for path in [written] if isinstance(written, str) else written if isinstance(written, list) else ():
            if isinstance(path, str) and "$" not in path and "*" not in path and path.rpartition("/")[2] not in text:
                message = f"job {job!r} reports {path!r} as dotenv, and its script does not write it"
                yield Spot(message=message, location=subject.at(job, "artifacts", "reports", "dotenv"))
