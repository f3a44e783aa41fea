"""What runners say about their jobs: still there, ended so, too much log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from sqlalchemy.orm import Session

from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.completion import finish
from infra.lab.gitlab.pipelines.context import job_context
from infra.lab.gitlab.pipelines.failure import FailureReason, known
from infra.lab.gitlab.pipelines.predefined import plain
from infra.lab.gitlab.pipelines.report import coverage
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.environment import Environment
from infra.lab.gitlab.store.job import WITH_RUNNER, Job
from pipelines.language.error import ConfigError
from pipelines.language.model import Status
from pipelines.language.variable import expand, job_variables, mapping

_NOTED_EVERY = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """How a runner says that its job ended."""

    job_id: int
    succeeded: bool
    failure_reason: str | None = None
    exit_code: int | None = None

    @classmethod
    def too_much_log(cls, job_id: int) -> Self:
        """A job that wrote more than its log may hold."""
        return cls(job_id=job_id, succeeded=False, failure_reason=FailureReason.TRACE_SIZE)


def note_contact(instance: Instance, job: Job, *, confirm: bool) -> None:
    """Remembers that the runner is there; written at most every 15 s. `job` may come from a session that is over."""
    recent = job.contacted_at is not None and now() - job.contacted_at < _NOTED_EVERY
    if recent and (job.confirmed or not confirm):
        return
    with instance.store.write() as session:
        current = session.get(Job, job.id)
        if current is not None and current.status in WITH_RUNNER:
            current.contacted_at = now()
            current.confirmed = current.confirmed or confirm


def close_job(instance: Instance, report: JobReport) -> str:
    """Ends the job as its runner says and lets the pipeline go on; returns the job's status.

    A job that was being canceled is canceled, however its script ended.
    """
    traces = CiService.of(instance).traces
    traces.seal(report.job_id)
    with instance.store.read() as session:
        before = session.get_one(Job, report.job_id)
        pattern = before.spec.coverage
        url = _environment_url(instance, session, before) if report.succeeded else None
    percent = coverage(traces.read(report.job_id), pattern) if pattern else None
    with instance.store.write() as session:
        job = session.get_one(Job, report.job_id)
        if job.status not in WITH_RUNNER:
            return job.status
        job.coverage = percent
        if url and job.environment_id is not None:
            session.get_one(Environment, job.environment_id).external_url = url
        if job.status == Status.CANCELING or report.failure_reason == FailureReason.JOB_CANCELED:
            finish(session, job, Status.CANCELED)
        elif report.succeeded:
            finish(session, job, Status.SUCCESS)
        else:
            reason = known(report.failure_reason)
            finish(session, job, Status.FAILED, failure_reason=reason, exit_code=report.exit_code)
        return job.status


def _environment_url(instance: Instance, session: Session, job: Job) -> str | None:
    """The address of the job's environment, with what the job itself reported as dotenv."""
    wanted = job.spec.environment
    if wanted is None or wanted.url is None:
        return None
    page = f"{instance.settings.external_url}/{job.pipeline.project.full_path}/-"
    known_by_now = plain(
        [
            ("CI_PIPELINE_ID", str(job.pipeline_id)),
            ("CI_PIPELINE_IID", str(job.pipeline.iid)),
            ("CI_PIPELINE_URL", f"{page}/pipelines/{job.pipeline_id}"),
            ("CI_JOB_ID", str(job.id)),
            ("CI_JOB_URL", f"{page}/jobs/{job.id}"),
        ]
    )
    try:
        values = mapping(
            job_variables(
                job_context(session, job), job.spec, predefined=known_by_now, dotenv=plain(map(tuple, job.dotenv))
            )
        )
        return expand(wanted.url, values)
    except ConfigError:
        return None
