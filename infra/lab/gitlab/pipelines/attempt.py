"""Starting jobs by hand and again: play, retry, the retry that a job's configuration asks for."""

from __future__ import annotations

from sqlalchemy.orm import Session

from infra.lab.gitlab.pipelines.transition import enqueue, process
from infra.lab.gitlab.store.job import Job, latest_jobs
from infra.lab.gitlab.store.pipeline import Pipeline
from pipelines.language.model import JobSpec, Status

_ALWAYS = "always"


def play(session: Session, job: Job, user_id: int | None, variables: list[dict[str, str]] | None = None) -> None:
    """Starts a manual or scheduled job in the name of a user; jobs skipped behind it get another chance."""
    job.user_id = user_id or job.user_id
    if variables:
        job.variables = variables
    enqueue(session, job)
    reset_skipped(session, job)
    process(session, job.pipeline)


def retry(session: Session, job: Job, user_id: int | None) -> Job:
    """Runs an ended job again, as a new one of the same name."""
    again = copy(session, job, user_id=user_id, tries=0)
    enqueue(session, again)
    reset_skipped(session, again)
    process(session, job.pipeline)
    return again


def retry_pipeline(session: Session, pipeline: Pipeline, user_id: int | None) -> None:
    """Runs the failed and canceled jobs again, those first that wait for no other of them."""
    jobs = latest_jobs(session, pipeline.id)
    wanted = [job for job in jobs if job.status in {Status.FAILED, Status.CANCELED} and job.retryable]
    copies = [copy(session, job, user_id=user_id, tries=0) for job in wanted]
    for job in copies:
        job.status = Status.CREATED
        reset_skipped(session, job)
    for job in jobs:
        if job.status == Status.SKIPPED:
            job.status = Status.CREATED
    process(session, pipeline)


def retry_by_itself(session: Session, job: Job) -> Job | None:
    """The new try of a failed job whose `retry` covers this failure; None when there is to be none."""
    if job.status != Status.FAILED or not _retry_covers(job.spec, job):
        return None
    again = copy(session, job, user_id=job.user_id, tries=job.tries + 1)
    enqueue(session, again)
    return again


def _retry_covers(spec: JobSpec, job: Job) -> bool:
    retry_rule = spec.retry
    if job.tries >= retry_rule.max:
        return False
    if job.exit_code is not None and job.exit_code in retry_rule.exit_codes:
        return True
    # With exit codes alone, `when` is not "always": docs.gitlab.com/ci/yaml/#retryexit_codes
    if retry_rule.exit_codes and retry_rule.when == (_ALWAYS,):
        return False
    return _ALWAYS in retry_rule.when or job.failure_reason in retry_rule.when


def copy(session: Session, job: Job, *, user_id: int | None, tries: int) -> Job:
    """A new try of `job`, not started yet; `job` becomes a retried one."""
    job.retried = True
    again = Job(
        pipeline_id=job.pipeline_id,
        project_id=job.project_id,
        user_id=user_id,
        environment_id=job.environment_id,
        name=job.name,
        stage=job.stage,
        stage_index=job.stage_index,
        status=Status.CREATED,
        when=job.when,
        allow_failure=job.allow_failure,
        protected=job.protected,
        interruptible=job.interruptible,
        resource_group=job.resource_group,
        tags=job.tags,
        spec_json=job.spec_json,
        variables=job.variables,
        tries=tries,
    )
    session.add(again)
    session.flush()
    session.refresh(again)
    return again


def reset_skipped(session: Session, job: Job) -> None:
    """Lets the skipped jobs that come after `job` wait for it again."""
    jobs = latest_jobs(session, job.pipeline_id)
    for follower in followers(job, jobs):
        if follower.status == Status.SKIPPED:
            follower.status = Status.CREATED
            follower.finished_at = None


def followers(job: Job, jobs: list[Job]) -> list[Job]:
    """The jobs that wait for `job`, also through others: by `needs`, or by the order of stages."""
    after: list[Job] = []
    names, stages = {job.name}, {job.stage_index}
    for other in sorted(jobs, key=lambda each: (each.stage_index, each.id)):
        needs = other.spec.needs
        follows = other.stage_index > min(stages) if needs is None else any(need.name in names for need in needs)
        if other.id != job.id and follows:
            after.append(other)
            names.add(other.name)
            stages.add(other.stage_index)
    return after
