"""How jobs and pipelines change status. Each function changes rows of one session; nothing here waits for anything.

Which jobs get their turn is decided by `ci.graph`; a job's end and the turn of those after it are one transaction.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.pipelines import queue
from infra.lab.gitlab.pipelines.deployment import end_deployment
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.job import CANCELABLE, WITH_RUNNER, Job, latest_jobs
from infra.lab.gitlab.store.pipeline import FINISHED, Pipeline
from pipelines.language.graph import JobState, advance, composite_status
from pipelines.language.model import Status

_HOLDS_RESOURCE = (Status.PENDING, Status.PREPARING, Status.RUNNING, Status.CANCELING)
_STARTED = frozenset({Status.RUNNING, Status.CANCELING, Status.SUCCESS, Status.FAILED, Status.CANCELED})


def states_of(jobs: list[Job]) -> list[JobState]:
    """The jobs as `ci.graph` sees them."""
    return [JobState.of(job.spec, Status(job.status), job.exit_code) for job in jobs]


def process(session: Session, pipeline: Pipeline) -> None:
    """Gives the jobs whose turn has come their turn, and the pipeline the status that follows."""
    session.flush()
    jobs = latest_jobs(session, pipeline.id)
    moves = advance(states_of(jobs))
    for job in jobs:
        if job.name in moves:
            enter(session, job, moves[job.name])
    session.flush()
    settle(pipeline, jobs)


def settle(pipeline: Pipeline, jobs: list[Job]) -> None:
    """Gives the pipeline the status that follows from its jobs."""
    status = composite_status(states_of(jobs))
    if status is None:
        return
    moment = now()
    if pipeline.status != status:
        pipeline.status = status
        pipeline.updated_at = moment
    if pipeline.started_at is None and any(job.started_at is not None for job in jobs):
        pipeline.started_at = min(job.started_at for job in jobs if job.started_at is not None)
    if status in FINISHED:
        pipeline.finished_at = pipeline.finished_at or moment
    else:
        pipeline.finished_at = None


def enter(session: Session, job: Job, status: Status) -> None:
    """Moves a created job to where its turn leads it."""
    if status is Status.PENDING:
        enqueue(session, job)
        return
    job.status = status
    job.updated_at = now()
    if status is Status.SCHEDULED:
        job.scheduled_at = now() + timedelta(seconds=job.spec.start_in or 0)
    elif status is Status.SKIPPED:
        job.finished_at = None


def enqueue(session: Session, job: Job) -> None:
    """Makes the job available to runners, or lets it wait while another one has its resource group."""
    moment = now()
    job.scheduled_at = None
    job.queued_at = moment
    job.updated_at = moment
    if job.resource_group is not None and _resource_is_taken(session, job):
        job.status = Status.WAITING_FOR_RESOURCE
        return
    job.status = Status.PENDING
    session.flush()
    queue.changed(session)


def _resource_is_taken(session: Session, job: Job) -> bool:
    session.flush()
    holder = select(Job.id).where(
        Job.project_id == job.project_id,
        Job.resource_group == job.resource_group,
        Job.status.in_(_HOLDS_RESOURCE),
        Job.id != job.id,
    )
    return session.scalars(holder.limit(1)).first() is not None


def release_resource(session: Session, job: Job) -> None:
    """Lets the oldest job that waits for this job's resource group go on."""
    if job.resource_group is None:
        return
    session.flush()
    waiting = (
        select(Job)
        .where(
            Job.project_id == job.project_id,
            Job.resource_group == job.resource_group,
            Job.status == Status.WAITING_FOR_RESOURCE,
        )
        .order_by(Job.id)
        .limit(1)
    )
    following = session.scalars(waiting).first()
    if following is not None:
        enqueue(session, following)
        if following.status == Status.PENDING and following.pipeline_id != job.pipeline_id:
            process(session, following.pipeline)


def end(
    session: Session, job: Job, status: Status, *, failure_reason: str | None = None, exit_code: int | None = None
) -> None:
    """Ends a job without looking at the others."""
    moment = now()
    job.status = status
    job.finished_at = moment
    job.updated_at = moment
    job.scheduled_at = None
    job.failure_reason = failure_reason if status is Status.FAILED else None
    job.exit_code = exit_code
    end_deployment(session, job, status)
    release_resource(session, job)


def cancel(session: Session, job: Job, *, force: bool = False) -> None:
    """Cancels a job that has not ended; one whose runner can run `after_script` first becomes `canceling`."""
    cancel_jobs(session, [job], force=force)
    process(session, job.pipeline)


def cancel_jobs(session: Session, jobs: list[Job], *, force: bool = False) -> None:
    """Cancels these jobs without looking at the others."""
    # All stop holding or waiting before a resource goes to one of those that stay.
    ended: list[Job] = []
    for job in jobs:
        if job.status in WITH_RUNNER and job.graceful and not force:
            job.status = Status.CANCELING
            job.updated_at = now()
        elif job.status in CANCELABLE or job.status == Status.CANCELING:
            job.status = Status.CANCELED
            ended.append(job)
    for job in ended:
        end(session, job, Status.CANCELED)


def cancel_pipeline(session: Session, pipeline: Pipeline) -> None:
    """Cancels all jobs of a pipeline that have not ended."""
    cancel_jobs(session, [job for job in latest_jobs(session, pipeline.id) if job.status in CANCELABLE])
    process(session, pipeline)


def cancel_redundant(session: Session, newer: Pipeline) -> None:
    """Cancels older pipelines of the same branch that a newer commit made needless (`interruptible`, `auto_cancel`)."""
    if newer.tag or newer.project.setting("auto_cancel_pending_pipelines") != "enabled":
        return
    older = select(Pipeline).where(
        Pipeline.project_id == newer.project_id,
        Pipeline.ref == newer.ref,
        Pipeline.tag.is_(False),
        Pipeline.id < newer.id,
        Pipeline.sha != newer.sha,
        Pipeline.source != "schedule",
        Pipeline.status.not_in(FINISHED),
    )
    for pipeline in session.scalars(older).all():
        jobs = latest_jobs(session, pipeline.id)
        mode = pipeline.auto_cancel.get("on_new_commit", "conservative")
        if mode == "conservative" and all(job.interruptible for job in jobs if job.status in _STARTED):
            cancel_jobs(session, [job for job in jobs if job.status in CANCELABLE])
        elif mode == "interruptible":
            cancel_jobs(session, [job for job in jobs if job.status in CANCELABLE and job.interruptible])
        else:
            continue
        process(session, pipeline)
