"""How a pipeline moves on: which created jobs get their turn, and the status of a stage or a pipeline. Pure.

The rules are those of GitLab's `Ci::ProcessPipelineService`, `Ci::ProcessBuildService` and `Gitlab::Ci::Status::
Composite`: a job in the stage order waits for all earlier stages, a job with `needs` for those jobs only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from pipelines.language.model import JobSpec, Status, When

COMPLETED = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELED, Status.SKIPPED})
"""A job in one of these has ended."""
ACTIVE = frozenset({Status.WAITING_FOR_RESOURCE, Status.PREPARING, Status.PENDING, Status.RUNNING, Status.CANCELING})
"""A job in one of these has had its turn and has not ended."""

_WARNED = "success_with_warnings"
_IGNORED = "ignored"
_DONE: frozenset[str] = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELED, Status.SKIPPED, _WARNED})
_ANY_ORDER = (
    Status.WAITING_FOR_RESOURCE,
    Status.MANUAL,
    Status.SCHEDULED,
    Status.PREPARING,
)


@dataclass(frozen=True, kw_only=True)
class JobState:
    """A job as far as progress is concerned: the latest try of that name. `needs=None` means the stage order."""

    name: str
    stage_index: int
    status: Status
    when: When = When.ON_SUCCESS
    needs: tuple[str, ...] | None = None
    allow_failure: bool = False

    @classmethod
    def of(cls, spec: JobSpec, status: Status, exit_code: int | None = None) -> Self:
        """The state of `spec`'s job. `exit_code` is that of its failed script, which may be an allowed one."""
        return cls(
            name=spec.name,
            stage_index=spec.stage_index,
            status=status,
            when=spec.when,
            needs=None if spec.needs is None else tuple(need.name for need in spec.needs),
            allow_failure=spec.allow_failure or exit_code in spec.allow_failure_exit_codes,
        )


def advance(jobs: Sequence[JobState]) -> dict[str, Status]:
    """The created jobs whose turn has come, with the status they get: pending, manual, scheduled or skipped.

    Runs until nothing moves, since a skipped job lets others move. `needs` that name no job of the pipeline
    (optional ones) are left out. A job that is not `created` never moves here.
    """
    states = {job.name: job for job in jobs}
    moved: dict[str, Status] = {}
    changed = True
    while changed:
        changed = False
        created = [job for job in states.values() if job.status is Status.CREATED]
        for job in sorted(created, key=lambda job: job.stage_index):
            following = _next_status(job, states)
            if following is not None:
                states[job.name] = replace(job, status=following)
                moved[job.name] = following
                changed = True
    return moved


def revived(jobs: Sequence[JobState], retried: str) -> frozenset[str]:
    """Names of the skipped jobs that become `created` again because the job `retried` runs again.

    Those are the ones that come after it: by stage, by `needs`, or after such a job.
    """
    found: set[str] = set()
    queue = [job for job in jobs if job.name == retried]
    while queue:
        before = queue.pop()
        for job in jobs:
            follows = before.stage_index < job.stage_index if job.needs is None else before.name in job.needs
            if follows and job.status is Status.SKIPPED and job.name not in found:
                found.add(job.name)
                queue.append(job)
    return frozenset(found)


def composite_status(jobs: Iterable[JobState]) -> Status | None:
    """The status of the pipeline or stage that `jobs` are; None without jobs."""
    return _composite([(job.status, job.allow_failure) for job in jobs], dag=False)


def has_warnings(jobs: Iterable[JobState]) -> bool:
    """Whether a job failed that was allowed to: a passed pipeline then shows as "passed with warnings"."""
    return _WARNED in _kinds((job.status, job.allow_failure) for job in jobs)


def _next_status(job: JobState, states: Mapping[str, JobState]) -> Status | None:
    before = _status_before(job, states)
    if before not in COMPLETED:
        return None
    if before not in _runs_after(job):
        return Status.SKIPPED
    if job.when is When.MANUAL:
        return Status.MANUAL
    return Status.SCHEDULED if job.when is When.DELAYED else Status.PENDING


def _status_before(job: JobState, states: Mapping[str, JobState]) -> Status:
    if job.needs is not None:
        earlier = [states[name] for name in job.needs if name in states]
    else:
        earlier = [other for other in states.values() if other.stage_index < job.stage_index]
    pairs = [(other.status, other.allow_failure) for other in earlier]
    return _composite(pairs, dag=job.needs is not None) or Status.SUCCESS


def _runs_after(job: JobState) -> Collection[Status]:
    if job.when is When.ON_FAILURE:
        return (Status.FAILED,)
    if job.when is When.ALWAYS:
        return (Status.SUCCESS, Status.FAILED, Status.SKIPPED)
    return (Status.SUCCESS,) if job.needs is not None else (Status.SUCCESS, Status.SKIPPED)


def _kinds(pairs: Iterable[tuple[Status, bool]]) -> set[str]:
    kinds: set[str] = set()
    for status, allow_failure in pairs:
        if allow_failure and status in (Status.FAILED, Status.CANCELED):
            kinds.add(_WARNED)
        elif allow_failure and status is Status.MANUAL:
            kinds.add(_IGNORED)
        else:
            kinds.add(status)
    return kinds


def _composite(pairs: Iterable[tuple[Status, bool]], *, dag: bool) -> Status | None:
    kinds = _kinds(pairs)
    if not kinds:
        return None
    if dag and kinds & {Status.SKIPPED, _IGNORED}:
        return Status.SKIPPED
    if dag and not kinds <= _DONE:
        return Status.PENDING
    return _only(kinds) or _any(kinds)


def _only(kinds: set[str]) -> Status | None:
    """A status that holds when there is nothing but what goes with it, asked in this order."""
    passed = {_WARNED, _IGNORED}
    for status, beside in (
        (Status.SKIPPED, {_IGNORED}),
        (Status.SUCCESS, passed | {Status.SKIPPED}),
        (Status.CREATED, passed),
        (Status.PREPARING, passed),
        (Status.CANCELED, passed | {Status.SUCCESS, Status.SKIPPED}),
        (Status.PENDING, passed | {Status.CREATED, Status.SKIPPED}),
    ):
        if kinds <= beside | {status}:
            return status
    return None


def _any(kinds: set[str]) -> Status:
    if Status.CANCELING in kinds:
        return Status.CANCELING
    if kinds & {Status.RUNNING, Status.PENDING}:
        return Status.RUNNING
    for status in _ANY_ORDER:
        if status in kinds:
            return status
    return Status.RUNNING if Status.CREATED in kinds else Status.FAILED
