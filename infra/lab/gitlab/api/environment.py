"""Environments."""

from __future__ import annotations

from sqlalchemy import select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.ci_entity import show_environment
from infra.lab.gitlab.api.error import bad_request, forbidden, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, boolean, integer, string
from infra.lab.gitlab.api.route import Answer, Request, Response, Route, delete, get, post, put
from infra.lab.gitlab.pipelines.attempt import play, retry
from infra.lab.gitlab.pipelines.deployment import stop_job
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.environment import (
    NAME,
    NAME_LIMIT,
    Environment,
    EnvironmentState,
    Tier,
    find_environment,
    guess_tier,
)
from infra.lab.gitlab.store.project import Project
from pipelines.language.slug import environment_slug

_SHORTEST_SEARCH = 3
_STATES = tuple(state.value for state in EnvironmentState)


def _find(request: Request, project: Project) -> Environment:
    environment = request.session.get(Environment, request.number("environment_id", "Environment"))
    if environment is None or environment.project_id != project.id:
        raise not_found("Environment")
    return environment


def _list(request: Request) -> Answer:
    project, params = request.project(Role.REPORTER), request.params
    if params.get("name") and params.get("search"):
        raise message(400, {"error": ["name, search are mutually exclusive"]})
    statement = select(Environment).where(Environment.project_id == project.id)
    if params.get("name"):
        statement = statement.where(Environment.name == params["name"])
    if params.get("search"):
        if len(params["search"]) < _SHORTEST_SEARCH:
            raise bad_request(f"Search query is too short (minimum is {_SHORTEST_SEARCH} characters)")
        statement = statement.where(Environment.name.startswith(params["search"], autoescape=True))
    if params.get("states"):
        statement = statement.where(Environment.state == params["states"])
    return paginate(
        request,
        statement.order_by(Environment.id),
        lambda each: show_environment(request.instance, request.session, each),
    )


def _show(request: Request) -> Answer:
    environment = _find(request, request.project(Role.REPORTER))
    return show_environment(request.instance, request.session, environment, deployed=True)


def _create(request: Request) -> Answer:
    project, params = request.project(Role.DEVELOPER), request.params
    name = params["name"]
    if len(name) > NAME_LIMIT:
        raise message(400, {"name": [f"is too long (maximum is {NAME_LIMIT} characters)"]})
    if not NAME.fullmatch(name) or name.startswith("/") or name.endswith("/"):
        raise message(
            400,
            {
                "name": [
                    "can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', and spaces, "
                    "but it cannot start or end with '/'"
                ]
            },
        )
    if find_environment(request.session, project.id, name) is not None:
        raise message(400, {"name": ["has already been taken"], "slug": ["has already been taken"]})
    environment = Environment(
        project_id=project.id, name=name, slug=environment_slug(name), tier=params.get("tier") or guess_tier(name)
    )
    _apply(environment, request)
    request.session.add(environment)
    request.session.flush()
    request.session.refresh(environment)
    return show_environment(request.instance, request.session, environment)


def _apply(environment: Environment, request: Request) -> None:
    for name in ("external_url", "tier", "description", "auto_stop_setting"):
        if name in request.params and (request.params[name] is not None or name in {"external_url", "description"}):
            setattr(environment, name, request.params[name])
    environment.updated_at = now()


def _update(request: Request) -> Answer:
    environment = _find(request, request.project(Role.DEVELOPER))
    _apply(environment, request)
    return show_environment(request.instance, request.session, environment)


def _delete(request: Request) -> Answer:
    environment = _find(request, request.project(Role.DEVELOPER))
    if environment.state != EnvironmentState.STOPPED:
        raise forbidden()
    request.session.delete(environment)
    return None


def _stop(request: Request) -> Answer:
    environment = _find(request, request.project(Role.DEVELOPER))
    job = None if request.params["force"] else stop_job(request.session, environment)
    if environment.state == EnvironmentState.AVAILABLE and job is not None:
        environment.state = EnvironmentState.STOPPING
        if job.playable:
            play(request.session, job, request.user.id)
        else:
            retry(request.session, job, request.user.id)
    else:
        environment.state = EnvironmentState.STOPPED
    environment.updated_at = now()
    return Response(show_environment(request.instance, request.session, environment), status=201)


_FIELDS: tuple[Parameter, ...] = (
    string("external_url"),
    string("tier", values=tuple(tier.value for tier in Tier)),
    integer("cluster_agent_id"),
    string("kubernetes_namespace"),
    string("flux_resource_path"),
    string("description"),
    string("auto_stop_setting", values=("always", "with_action")),
)
_ONE = "/projects/:id/environments/:environment_id"

ROUTES: tuple[Route, ...] = (
    get(
        "/projects/:id/environments",
        _list,
        string("name"),
        string("search"),
        string("states", values=_STATES),
        job_token=True,
    ),
    post("/projects/:id/environments", _create, string("name", required=True), *_FIELDS, job_token=True),
    get(_ONE, _show, job_token=True),
    put(_ONE, _update, *_FIELDS, job_token=True),
    delete(_ONE, _delete, job_token=True),
    post(f"{_ONE}/stop", _stop, boolean("force", default=False), job_token=True),
)
