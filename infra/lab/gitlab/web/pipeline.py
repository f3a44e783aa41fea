"""Pipelines: the project's list, and one by stage; with what may be started and stopped."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import bad_request, forbidden
from infra.lab.gitlab.pipelines.attempt import retry_pipeline
from infra.lab.gitlab.pipelines.permission import may_run
from infra.lab.gitlab.pipelines.transition import cancel_pipeline, states_of
from infra.lab.gitlab.store.job import Job, latest_jobs
from infra.lab.gitlab.store.namespace import Visibility
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.web.visit import Page, Visit
from pipelines.language.graph import composite_status

PAGE_SIZE = 50
REFRESH_SECONDS = 2
"""How often a page of something that runs looks what has changed."""


def check_readable(visit: Visit) -> None:
    """403 unless the visitor may see pipelines (the rule of `api.pipeline.readable_project`)."""
    role, project = visit.role(), visit.project
    shown = project.setting("public_jobs") and (project.visibility != Visibility.PRIVATE or role >= Role.GUEST)
    if role < Role.REPORTER and not shown:
        raise forbidden()


def find_pipeline(visit: Visit, session: Session) -> Pipeline:
    """The pipeline of the path, in `session`."""
    check_readable(visit)
    return visit.find(Pipeline, "Pipeline", session)


def find_job(visit: Visit, session: Session) -> Job:
    """The job of the path, in `session`."""
    check_readable(visit)
    return visit.find(Job, "Job", session)


def may_act(visit: Visit, pipeline: Pipeline) -> bool:
    """Whether the visitor may start and stop jobs of the pipeline."""
    return may_run(visit.session, visit.identity, visit.project, pipeline.source_ref, tag=pipeline.tag)


def show_list(visit: Visit) -> Response:
    """The newest pipelines."""
    check_readable(visit)
    before = visit.query.get("before", "")
    statement = select(Pipeline).where(Pipeline.project_id == visit.project.id)
    if before.isascii() and before.isdecimal() and len(before) < 19:
        statement = statement.where(Pipeline.id < int(before))
    pipelines = list(visit.session.scalars(statement.order_by(Pipeline.id.desc()).limit(PAGE_SIZE)))
    busy = any(not each.finished for each in pipelines)
    older = pipelines[-1].id if len(pipelines) == PAGE_SIZE else None
    return visit.render("pipelines.html", pipelines=pipelines, older=older, refresh=REFRESH_SECONDS if busy else None)


def show(visit: Visit) -> Response:
    """One pipeline, stage by stage."""
    pipeline = find_pipeline(visit, visit.session)
    jobs = latest_jobs(visit.session, pipeline.id)
    stages = []
    for name in dict.fromkeys(job.stage for job in jobs):
        members = [job for job in jobs if job.stage == name]
        stages.append((name, composite_status(states_of(members)), sorted(members, key=lambda job: job.name)))
    return visit.render(
        "pipeline.html",
        pipeline=pipeline,
        stages=stages,
        may_act=may_act(visit, pipeline),
        can_cancel=any(not job.complete and job.status != "skipped" for job in jobs),
        can_retry=any(job.retryable and job.status != "success" for job in jobs),
        refresh=None if pipeline.finished else REFRESH_SECONDS,
    )


def _change(work: Callable[[Session, Pipeline, int], None]) -> Callable[[Visit], Response]:
    def handler(visit: Visit) -> Response:
        if not may_act(visit, find_pipeline(visit, visit.session)) or visit.identity.user is None:
            raise forbidden()
        with visit.instance.store.write() as session:
            work(session, find_pipeline(visit, session), visit.identity.user.id)
        return RedirectResponse(f"/{visit.project.full_path}/-/pipelines/{visit.segments['number']}", 303)

    return handler


def change_job(visit: Visit, allowed: Callable[[Job], bool], work: Callable[[Session, Job, int], Job]) -> Response:
    """Does something to the job of the path, and shows the job that came of it."""
    if not may_act(visit, find_job(visit, visit.session).pipeline) or visit.identity.user is None:
        raise forbidden()
    with visit.instance.store.write() as session:
        job = find_job(visit, session)
        if not allowed(job):
            raise bad_request("the job has moved on since")
        number = work(session, job, visit.identity.user.id).id
    return RedirectResponse(f"/{visit.project.full_path}/-/jobs/{number}", 303)


PAGES = (
    Page(path="pipelines", handler=show_list),
    Page(path="pipelines/:number", handler=show),
    Page(
        path="pipelines/:number/cancel",
        handler=_change(lambda session, pipeline, _user: cancel_pipeline(session, pipeline)),
        method="POST",
    ),
    Page(path="pipelines/:number/retry", handler=_change(retry_pipeline), method="POST"),
)
