"""The end of a job with all that follows from it, in one transaction."""

from __future__ import annotations

from sqlalchemy.orm import Session

from infra.lab.gitlab.pipelines.attempt import retry_by_itself
from infra.lab.gitlab.pipelines.transition import cancel_jobs, end, process
from infra.lab.gitlab.store.job import CANCELABLE, Job, latest_jobs
from pipelines.language.model import Status


def finish(
    session: Session, job: Job, status: Status, *, failure_reason: str | None = None, exit_code: int | None = None
) -> None:
    """Ends a job, tries it again when its `retry` says so, and lets the pipeline go on."""
    end(session, job, status, failure_reason=failure_reason, exit_code=exit_code)
    again = retry_by_itself(session, job)
    if again is None and status is Status.FAILED and _cancels_the_rest(job):
        cancel_jobs(session, [each for each in latest_jobs(session, job.pipeline_id) if each.status in CANCELABLE])
    process(session, job.pipeline)


def _cancels_the_rest(job: Job) -> bool:
    spec = job.spec
    allowed = spec.allow_failure or job.exit_code in spec.allow_failure_exit_codes
    return job.pipeline.auto_cancel.get("on_job_failure") == "all" and not allowed
