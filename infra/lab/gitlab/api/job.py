"""Jobs."""

from __future__ import annotations

from sqlalchemy import select
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.ci_entity import show_job
from infra.lab.gitlab.api.error import bad_request, forbidden, not_found
from infra.lab.gitlab.api.parameter import array, boolean, hashes, string
from infra.lab.gitlab.api.pipeline import STATUSES, list_jobs, readable_project
from infra.lab.gitlab.api.route import Answer, Request, Response, Route, get, post
from infra.lab.gitlab.pipelines.artifact import delete_files, forget
from infra.lab.gitlab.pipelines.attempt import play, retry
from infra.lab.gitlab.pipelines.permission import may_run, ref_is_protected
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.pipelines.transition import cancel
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.job import CANCELABLE, Job
from infra.lab.gitlab.store.project import Project
from pipelines.language.model import Status


def find_job(request: Request, project: Project) -> Job:
    """The project's job of `:job_id`. 404 when there is none."""
    job = request.session.get(Job, request.number("job_id"))
    if job is None or job.project_id != project.id:
        raise not_found()
    return job


def _runnable(request: Request) -> Job:
    """The job of `:job_id`, which whoever asks may start and stop; else 403."""
    project = request.project(Role.DEVELOPER)
    job = find_job(request, project)
    if not may_run(request.session, request.identity, project, job.pipeline.source_ref, tag=job.pipeline.tag):
        raise forbidden()
    return job


def _list(request: Request) -> Answer:
    project = readable_project(request)
    return list_jobs(request, select(Job).where(Job.project_id == project.id))


def _show(request: Request) -> Answer:
    return show_job(request.instance, request.session, find_job(request, readable_project(request)))


def _trace(request: Request) -> Answer:
    job = find_job(request, readable_project(request))
    log = b"" if job.erased_at is not None else CiService.of(request.instance).traces.read(job.id)
    headers = {"Content-Disposition": f'infile; filename="{job.id}.log"'}
    return Response(log, headers=headers, content_type="text/plain; charset=utf-8")


def _cancel(request: Request) -> Answer:
    job = _runnable(request)
    force = bool(request.params.get("force"))
    if force:
        request.project(Role.MAINTAINER)
    if job.status in CANCELABLE or (force and job.status == Status.CANCELING):
        cancel(request.session, job, force=force)
    return show_job(request.instance, request.session, job)


def _retry(request: Request) -> Answer:
    job = _runnable(request)
    if not job.retryable:
        raise forbidden("Job is not retryable")
    return show_job(request.instance, request.session, retry(request.session, job, request.user.id))


def _play(request: Request) -> Answer:
    job = _runnable(request)
    if not job.playable:
        raise bad_request("Unplayable Job")
    given = request.params.get("job_variables_attributes") or []
    variables = [{"key": each["key"], "value": each["value"]} for each in given]
    play(request.session, job, request.user.id, variables)
    return Response(show_job(request.instance, request.session, job), status=200)


def _erase(request: Request) -> Answer:
    project = request.project(Role.DEVELOPER)
    job = find_job(request, project)
    # GitLab's app/policies/ci/build_policy.rb: one's own, unless its ref is protected.
    protected = ref_is_protected(request.session, project, job.pipeline.ref, tag=job.pipeline.tag)
    if protected or job.user_id != request.user.id:
        request.project(Role.MAINTAINER)
    if not job.complete or job.erased_at is not None:
        raise forbidden("Job is not erasable!")
    paths = forget(request.instance, request.session, job)
    job.erased_at = now()
    job.dotenv = []
    request.session.flush()
    paths.append(CiService.of(request.instance).traces.path(job.id))
    # After the answer, and so after the commit: a job that says it has artifacts has them.
    shown = show_job(request.instance, request.session, job)
    return JSONResponse(shown, 201, background=BackgroundTask(delete_files, paths))


def _current(request: Request) -> Answer:
    """The job whose token this is."""
    shown = request.identity.job
    if not isinstance(shown, Job):
        raise not_found("Job")
    return show_job(request.instance, request.session, request.session.get_one(Job, shown.id))


_ONE = "/projects/:id/jobs/:job_id"

ROUTES: tuple[Route, ...] = (
    get("/projects/:id/jobs", _list, array("scope", values=(*STATUSES, "waiting_for_callback")), job_token=True),
    get(_ONE, _show),
    get(f"{_ONE}/trace", _trace),
    post(f"{_ONE}/cancel", _cancel, boolean("force")),
    post(f"{_ONE}/retry", _retry),
    post(
        f"{_ONE}/play",
        _play,
        hashes("job_variables_attributes", string("key", required=True), string("value", required=True)),
    ),
    post(f"{_ONE}/erase", _erase),
    get("/job", _current, job_token=True),
)
