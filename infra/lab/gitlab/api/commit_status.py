"""What other systems say about commits, beside the jobs that ran for them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import boolean, string
from infra.lab.gitlab.api.pipeline import readable_project
from infra.lab.gitlab.api.route import Answer, Request, Response, get, post
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.base import now, stamp
from infra.lab.gitlab.store.commit_status import CommitStatus
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.namespace import Visibility
from infra.lab.gitlab.store.pipeline import Pipeline

_STATES = ("pending", "running", "success", "failed", "canceled", "skipped")


def _show(instance: Instance, status: CommitStatus) -> dict[str, Any]:
    """API_Entities_CommitStatus."""
    return {
        "id": status.id,
        "sha": status.sha,
        "ref": status.ref,
        "status": status.state,
        "name": status.name,
        "target_url": status.target_url,
        "description": status.description,
        "created_at": stamp(status.created_at),
        "started_at": None,
        "finished_at": stamp(status.finished_at),
        "allow_failure": False,
        "coverage": status.coverage,
        "pipeline_id": None,
        "author": basic(instance, status.author) if status.author else None,
    }


def _show_job(instance: Instance, job: Job) -> dict[str, Any]:
    """API_Entities_CommitStatus of a job."""
    return {
        "id": job.id,
        "sha": job.pipeline.sha,
        "ref": job.pipeline.ref,
        "status": job.status,
        "name": job.name,
        "target_url": instance.url(f"/{job.pipeline.project.full_path}/-/jobs/{job.id}"),
        "description": None,
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at),
        "finished_at": stamp(job.finished_at),
        "allow_failure": job.allow_failure,
        "coverage": job.coverage,
        "pipeline_id": job.pipeline_id,
        "author": basic(instance, job.user) if job.user else None,
    }


def _list(request: Request) -> Answer:
    project, given, instance = readable_project(request), request.params, request.instance
    if project.visibility == Visibility.PRIVATE:
        request.project(Role.REPORTER)
    sha = instance.repository(project.id).resolve(request.segment("sha"))
    if sha is None:
        raise not_found("Commit")
    jobs = select(Job).join(Pipeline).where(Pipeline.project_id == project.id, Pipeline.sha == sha)
    others = select(CommitStatus).where(CommitStatus.project_id == project.id, CommitStatus.sha == sha)
    if not given["all"]:
        jobs = jobs.where(Job.retried.is_(False))
    shown = [_show_job(instance, job) for job in request.session.scalars(jobs.order_by(Job.id)).unique()]
    shown += [_show(instance, each) for each in request.session.scalars(others.order_by(CommitStatus.id))]
    for name in ("ref", "name"):
        if given.get(name):
            shown = [each for each in shown if each[name] == given[name]]
    return paginate(request, shown, lambda each: each)


def _set(request: Request) -> Answer:
    project, given = request.project(Role.DEVELOPER), request.params
    repository = request.instance.repository(project.id)
    sha = repository.resolve(request.segment("sha"))
    if sha is None:
        raise not_found("Commit")
    ref = given.get("ref") or next(iter(repository.containing(sha, "refs/heads")), None)
    if ref is None:
        raise not_found("References for commit")
    name = given.get("name") or given.get("context") or "default"
    wanted = select(CommitStatus).where(CommitStatus.project_id == project.id, CommitStatus.sha == sha)
    status = request.session.scalars(wanted.where(CommitStatus.name == name, CommitStatus.ref == ref)).first()
    if status is None:
        status = CommitStatus(project_id=project.id, sha=sha, name=name, ref=ref)
        request.session.add(status)
    status.author_id, status.state = request.user.id, given["state"]
    status.target_url = given.get("target_url") or status.target_url
    status.description = given.get("description") or status.description
    status.coverage = _number(given["coverage"]) if given.get("coverage") else status.coverage
    status.finished_at = None if given["state"] in ("pending", "running") else now()
    request.session.flush()
    request.session.refresh(status)
    return Response(_show(request.instance, status), status=201)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise message(400, {"coverage": ["is not a number"]}) from None


ROUTES = (
    get(
        "/projects/:id/repository/commits/:sha/statuses",
        _list,
        string("ref"),
        string("name"),
        boolean("all", default=False),
        job_token=True,
    ),
    post(
        "/projects/:id/statuses/:sha",
        _set,
        string("state", required=True, values=_STATES),
        *(string(name) for name in ("ref", "target_url", "description", "name", "context", "coverage")),
    ),
)
