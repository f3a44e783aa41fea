"""Environments as jobs use them: what a job starts, deploys to and stops."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.environment import (
    Deployment,
    Environment,
    EnvironmentState,
    ensure_environment,
    last_deployment,
    next_deployment_iid,
)
from infra.lab.gitlab.store.job import Job, latest_jobs
from pipelines.language import duration
from pipelines.language.model import Status

START = "start"
STOP = "stop"


def prepare_environment(session: Session, job: Job) -> None:
    """Makes the environment that a new job names, and ties the job to it."""
    wanted = job.spec.environment
    if wanted is not None:
        environment = ensure_environment(session, job.project_id, wanted.name, wanted.deployment_tier)
        job.environment_id = environment.id


def begin_deployment(session: Session, job: Job) -> None:
    """Records that a job which just started deploys to its environment."""
    wanted = job.spec.environment
    if wanted is None or wanted.action != START:
        return
    if job.environment_id is None:
        prepare_environment(session, job)
    pipeline = job.pipeline
    session.add(
        Deployment(
            iid=next_deployment_iid(session, job.project_id),
            project_id=job.project_id,
            environment_id=job.environment_id,
            job_id=job.id,
            user_id=job.user_id,
            ref=pipeline.ref,
            tag=pipeline.tag,
            sha=pipeline.sha,
            status=Status.RUNNING,
            on_stop=wanted.on_stop,
        )
    )


def end_deployment(session: Session, job: Job, status: Status) -> None:
    """Records how a job's deployment ended, and what that makes of its environment."""
    wanted = job.spec.environment
    if wanted is None:
        return
    environment = session.get(Environment, job.environment_id) if job.environment_id is not None else None
    if environment is None:
        return
    moment = now()
    deployment = session.scalars(select(Deployment).where(Deployment.job_id == job.id)).first()
    if deployment is not None:
        deployment.status = status
        deployment.updated_at = deployment.finished_at = moment
    if status is not Status.SUCCESS:
        if wanted.action == STOP and environment.state == EnvironmentState.STOPPING:
            environment.state = EnvironmentState.AVAILABLE
        return
    if wanted.action == STOP:
        environment.state = EnvironmentState.STOPPED
        environment.auto_stop_at = None
    elif wanted.action == START:
        environment.state = EnvironmentState.AVAILABLE
        seconds = duration.parse(wanted.auto_stop_in) if wanted.auto_stop_in else None
        environment.auto_stop_at = moment + timedelta(seconds=seconds) if seconds else None
    environment.updated_at = moment


def stop_job(session: Session, environment: Environment) -> Job | None:
    """The job that takes the environment down (`on_stop` of what is deployed), if it can be started."""
    deployment = last_deployment(session, environment.id)
    if deployment is None or deployment.on_stop is None or deployment.job_id is None:
        return None
    deployed_by = session.get(Job, deployment.job_id)
    if deployed_by is None:
        return None
    jobs = latest_jobs(session, deployed_by.pipeline_id)
    return next((job for job in jobs if job.name == deployment.on_stop and (job.playable or job.retryable)), None)
