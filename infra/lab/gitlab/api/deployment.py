"""Deployments: those that jobs made, and those that other tools tell about."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.ci_entity import show_deployment
from infra.lab.gitlab.api.error import bad_request, forbidden, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import boolean, moment, string
from infra.lab.gitlab.api.route import Answer, Request, Route, delete, get, post, put
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.environment import (
    Deployment,
    Environment,
    ensure_environment,
    last_deployment,
    next_deployment_iid,
)
from pipelines.language.model import Status

_ORDERS = ("id", "iid", "created_at", "updated_at", "finished_at")
_STATUSES = ("created", "running", "success", "failed", "canceled", "skipped", "blocked")
_SETTABLE = ("running", "success", "failed", "canceled")
_ENDED = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELED})


def _find(request: Request, minimum: Role) -> Deployment:
    project = request.project(minimum)
    deployment = request.session.get(Deployment, request.number("deployment_id", "Deployment"))
    if deployment is None or deployment.project_id != project.id:
        raise not_found("Deployment")
    return deployment


def _list(request: Request) -> Answer:
    project, params = request.project(Role.REPORTER), request.params
    statement = select(Deployment).where(Deployment.project_id == project.id)
    if params.get("environment"):
        named = select(Environment.id).where(
            Environment.project_id == project.id, Environment.name == params["environment"]
        )
        statement = statement.where(Deployment.environment_id.in_(named))
    if params.get("status"):
        statement = statement.where(Deployment.status == params["status"])
    for name in ("updated", "finished"):
        column = getattr(Deployment, f"{name}_at")
        if params.get(f"{name}_after") is not None:
            statement = statement.where(column > params[f"{name}_after"])
        if params.get(f"{name}_before") is not None:
            statement = statement.where(column < params[f"{name}_before"])
    column = getattr(Deployment, params["order_by"])
    statement = statement.order_by(column.asc() if params["sort"] == "asc" else column.desc(), Deployment.id)
    return paginate(request, statement, lambda each: show_deployment(request.instance, request.session, each))


def _extended(request: Request, deployment: Deployment) -> dict[str, Any]:
    """API_Entities_DeploymentExtended. Approvals are a paid feature: there are none."""
    return {**show_deployment(request.instance, request.session, deployment), "pending_approval_count": 0}


def _show(request: Request) -> Answer:
    return _extended(request, _find(request, Role.REPORTER))


def _create(request: Request) -> Answer:
    project, params = request.project(Role.DEVELOPER), request.params
    if Repository(request.instance.repositories / f"{project.id}.git").resolve(params["sha"]) is None:
        raise message(400, {"sha": ["The commit does not exist"]})
    environment = ensure_environment(request.session, project.id, params["environment"])
    moment_now = now()
    deployment = Deployment(
        iid=next_deployment_iid(request.session, project.id),
        project_id=project.id,
        environment_id=environment.id,
        user_id=request.user.id,
        ref=params["ref"],
        tag=params["tag"],
        sha=params["sha"],
        status=params["status"],
        finished_at=moment_now if params["status"] in _ENDED else None,
    )
    request.session.add(deployment)
    request.session.flush()
    request.session.refresh(deployment)
    return _extended(request, deployment)


def _update(request: Request) -> Answer:
    deployment = _find(request, Role.DEVELOPER)
    if deployment.job_id is not None:
        raise forbidden("A deployment of a job follows its job")
    if deployment.status in _ENDED and deployment.status != request.params["status"]:
        raise message(400, {"status": ["Cannot transition via the event that leads there from an ended deployment"]})
    deployment.status = request.params["status"]
    deployment.updated_at = now()
    if deployment.status in _ENDED:
        deployment.finished_at = deployment.finished_at or now()
    return _extended(request, deployment)


def _delete(request: Request) -> Answer:
    deployment = _find(request, Role.MAINTAINER)
    if deployment.status == Status.RUNNING:
        raise bad_request("Cannot destroy running deployment")
    last = last_deployment(request.session, deployment.environment_id)
    if last is not None and last.id == deployment.id:
        raise bad_request("Deployment currently deployed to environment")
    request.session.delete(deployment)
    return None


_ONE = "/projects/:id/deployments/:deployment_id"

ROUTES: tuple[Route, ...] = (
    get(
        "/projects/:id/deployments",
        _list,
        string("order_by", values=_ORDERS, default="id"),
        string("sort", values=("asc", "desc"), default="asc"),
        moment("updated_after"),
        moment("updated_before"),
        moment("finished_after"),
        moment("finished_before"),
        string("environment"),
        string("status", values=_STATUSES),
        job_token=True,
    ),
    get(_ONE, _show, job_token=True),
    post(
        "/projects/:id/deployments",
        _create,
        string("environment", required=True),
        string("sha", required=True),
        string("ref", required=True),
        boolean("tag", required=True),
        string("status", required=True, values=_SETTABLE),
        job_token=True,
    ),
    put(_ONE, _update, string("status", required=True, values=_SETTABLE), job_token=True),
    delete(_ONE, _delete, job_token=True),
)
