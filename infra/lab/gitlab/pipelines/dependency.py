"""Which earlier jobs' artifacts and variables a job gets."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.pipelines.payload import Dependency
from infra.lab.gitlab.pipelines.token import JobTokens
from infra.lab.gitlab.store.artifact import Artifact
from infra.lab.gitlab.store.job import Job, latest_jobs
from pipelines.language.model import JobSpec, Variable

ARCHIVE = "archive"


class MissingDependencyError(Exception):
    """Artifacts that the job needs were erased or have expired; the text names the jobs."""


def dependencies_of(session: Session, job: Job, spec: JobSpec) -> list[Job]:
    """The ended jobs whose artifacts the job gets, in the order of the pipeline."""
    jobs = [each for each in latest_jobs(session, job.pipeline_id) if each.id != job.id and each.complete]
    if spec.needs is not None:
        wanted = {need.name for need in spec.needs if need.artifacts}
        jobs = [each for each in jobs if each.name in wanted]
    else:
        jobs = [each for each in jobs if each.stage_index < job.stage_index]
    if spec.dependencies is not None:
        jobs = [each for each in jobs if each.name in spec.dependencies]
    return jobs


def archives(session: Session, jobs: list[Job], tokens: JobTokens) -> tuple[Dependency, ...]:
    """The archives of these jobs. Raises MissingDependencyError when one was there and is gone."""
    found = {
        artifact.job_id: artifact
        for artifact in session.scalars(
            select(Artifact).where(Artifact.job_id.in_([job.id for job in jobs]), Artifact.file_type == ARCHIVE)
        )
    }
    gone = [job.name for job in jobs if job.erased_at or (job.id in found and found[job.id].expired)]
    if gone:
        raise MissingDependencyError(", ".join(gone))
    return tuple(
        Dependency(
            id=job.id,
            name=job.name,
            token=tokens.issue(job.id),
            filename=found[job.id].filename,
            size=found[job.id].size,
        )
        for job in jobs
        if job.id in found
    )


def dotenv_variables(jobs: list[Job]) -> tuple[Variable, ...]:
    """What these jobs reported as dotenv; later jobs win."""
    pairs = {key: value for job in jobs for key, value in job.dotenv}
    return tuple(Variable(key=key, value=value, raw=True) for key, value in pairs.items())
