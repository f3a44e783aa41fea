"""Environments: what is deployed where, since when, by whom."""

from __future__ import annotations

from sqlalchemy import select
from starlette.responses import Response

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.store.environment import Deployment, Environment, EnvironmentState, last_deployment
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.web.pipeline import REFRESH_SECONDS
from infra.lab.gitlab.web.visit import Page, Visit
from pipelines.language.model import Status

LISTED = 100
SHOWN = 50
"""Deployments on an environment's own page."""


def show_list(visit: Visit) -> Response:
    """The project's environments, those that are stopped last, each with what it has and what is on its way there."""
    visit.require(Role.REPORTER)
    stopped = Environment.state == EnvironmentState.STOPPED
    statement = select(Environment).where(Environment.project_id == visit.project.id)
    found = list(visit.session.scalars(statement.order_by(stopped, Environment.name).limit(LISTED)))
    rows = []
    for environment in found:
        newest = _newest(visit, environment, 1)
        coming = newest[0] if newest and newest[0].status == Status.RUNNING else None
        rows.append((environment, last_deployment(visit.session, environment.id), coming))
    refresh = REFRESH_SECONDS if any(coming for _, _, coming in rows) else None
    return visit.render("environments.html", rows=rows, job_of=_job_of(visit), refresh=refresh)


def show(visit: Visit) -> Response:
    """One environment with its deployments, the newest first."""
    visit.require(Role.REPORTER)
    environment = visit.find(Environment, "Environment")
    deployments = _newest(visit, environment, SHOWN)
    current = last_deployment(visit.session, environment.id)
    busy = any(each.status == Status.RUNNING for each in deployments)
    return visit.render(
        "environment.html",
        environment=environment,
        deployments=deployments,
        current=current,
        job_of=_job_of(visit),
        refresh=REFRESH_SECONDS if busy else None,
    )


def _newest(visit: Visit, environment: Environment, count: int) -> list[Deployment]:
    statement = select(Deployment).where(Deployment.environment_id == environment.id)
    return list(visit.session.scalars(statement.order_by(Deployment.id.desc()).limit(count)))


def _job_of(visit: Visit) -> dict[int, Job]:
    """The jobs that deployed, by id: a deployment outlives its job."""
    jobs = select(Job).join(Deployment, Deployment.job_id == Job.id).where(Deployment.project_id == visit.project.id)
    return {job.id: job for job in visit.session.scalars(jobs.order_by(Job.id.desc()).limit(LISTED * 2))}


PAGES = (
    Page(path="environments", handler=show_list),
    Page(path="environments/:number", handler=show),
)
