"""A job: what it is, its log with sections and colours, and buttons to start and stop it."""

from __future__ import annotations

from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import Response

from infra.lab.gitlab.pipelines.artifact import artifacts_of
from infra.lab.gitlab.pipelines.attempt import play, retry
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.pipelines.transition import cancel
from infra.lab.gitlab.store.environment import Environment
from infra.lab.gitlab.store.job import CANCELABLE, Job
from infra.lab.gitlab.store.runner import Runner
from infra.lab.gitlab.web.ansi import to_html
from infra.lab.gitlab.web.pipeline import REFRESH_SECONDS, change_job, find_job, may_act
from infra.lab.gitlab.web.visit import Page, Visit

SHOWN_BYTES = 512 * 1024
"""Of a longer log only the end is shown; the whole of it is one click away."""


def show(visit: Visit) -> Response:
    """The job's page."""
    job = find_job(visit, visit.session)
    log = b"" if job.erased_at is not None else CiService.of(visit.instance).traces.read(job.id)
    tries = select(Job).where(Job.pipeline_id == job.pipeline_id, Job.name == job.name).order_by(Job.id)
    return visit.render(
        "job.html",
        job=job,
        log=Markup(to_html(log[-SHOWN_BYTES:].decode(errors="replace"))),  # noqa: S704 - to_html escapes the text
        cut=len(log) > SHOWN_BYTES,
        tries=list(visit.session.scalars(tries)),
        runner=visit.session.get(Runner, job.runner_id) if job.runner_id is not None else None,
        environment=visit.session.get(Environment, job.environment_id) if job.environment_id is not None else None,
        artifacts=[each for each in artifacts_of(visit.session, job.id) if not each.expired],
        may_act=may_act(visit, job.pipeline),
        can_cancel=job.status in CANCELABLE,
        refresh=None if job.complete or job.status in {"skipped", "manual"} else REFRESH_SECONDS,
    )


def show_raw(visit: Visit) -> Response:
    """The log as the runner sent it."""
    job = find_job(visit, visit.session)
    log = b"" if job.erased_at is not None else CiService.of(visit.instance).traces.read(job.id)
    return Response(log, media_type="text/plain; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"})


def _play(visit: Visit) -> Response:
    def work(session: Session, job: Job, user_id: int) -> Job:
        play(session, job, user_id)
        return job

    return change_job(visit, lambda job: job.playable, work)


def _retry(visit: Visit) -> Response:
    return change_job(visit, lambda job: job.retryable, retry)


def _cancel(visit: Visit) -> Response:
    def work(session: Session, job: Job, _user_id: int) -> Job:
        cancel(session, job)
        return job

    return change_job(visit, lambda job: job.status in CANCELABLE, work)


PAGES = (
    Page(path="jobs/:number", handler=show),
    Page(path="jobs/:number/raw", handler=show_raw),
    Page(path="jobs/:number/play", handler=_play, method="POST"),
    Page(path="jobs/:number/retry", handler=_retry, method="POST"),
    Page(path="jobs/:number/cancel", handler=_cancel, method="POST"),
)
