"""Runners as people manage them; what runners themselves speak is in `runner_protocol`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity, Role, group_role, project_role, visible_projects
from infra.lab.gitlab.api.ci_entity import show_job_basic
from infra.lab.gitlab.api.error import forbidden, message, not_found, parameter
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, array, boolean, integer, string
from infra.lab.gitlab.api.pipeline import STATUSES
from infra.lab.gitlab.api.project_entity import show_identity
from infra.lab.gitlab.api.route import Answer, Entry, Request, Route, delete, get, post, put
from infra.lab.gitlab.api.runner_entity import show_manager, show_runner, show_runner_details
from infra.lab.gitlab.api.runner_filter import FILTERS, runner_page
from infra.lab.gitlab.pipelines.queue import available_to, changed
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.namespace import Namespace, descendants, find_namespace
from infra.lab.gitlab.store.project import Project, find_project
from infra.lab.gitlab.store.runner import (
    PREFIX,
    AccessLevel,
    Runner,
    RunnerManager,
    RunnerProject,
    RunnerType,
)
from infra.lab.gitlab.store.token import digest_of, new_token

_TYPES = tuple(kind.value for kind in RunnerType)
_NOTE_LIMIT = 1024
_SHORTEST_TIMEOUT = 600


def _mine(request: Request) -> Answer:
    return runner_page(request, select(Runner).where(Runner.id.in_(_manageable_ids(request))))


def _manageable_ids(request: Request) -> list[int]:
    shared = Runner.runner_type != RunnerType.INSTANCE
    runners = request.session.scalars(select(Runner).where(shared)).all()
    return [each.id for each in runners if _may_manage(request.session, request.identity, each)]


def _all(request: Request) -> Answer:
    return runner_page(request, select(Runner))


def _of_project(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    return runner_page(request, select(Runner).where(available_to(project)))


def _of_group(request: Request) -> Answer:
    group = request.group(Role.MAINTAINER)
    groups = [
        group.id,
        *(each.id for each in group.lineage()),
        *(each.id for each in descendants(request.session, group)),
    ]
    shared = Runner.runner_type == RunnerType.INSTANCE
    return runner_page(request, select(Runner).where(or_(Runner.group_id.in_(groups), shared)))


def _may_manage(session: Session, identity: Identity, runner: Runner) -> bool:
    if identity.admin:
        return True
    if runner.runner_type == RunnerType.GROUP and runner.group_id is not None:
        group = find_namespace(session, runner.group_id)
        return group is not None and group_role(session, identity, group) >= Role.OWNER
    if runner.runner_type == RunnerType.PROJECT:
        projects = session.scalars(
            select(Project)
            .join(RunnerProject, RunnerProject.project_id == Project.id)
            .where(RunnerProject.runner_id == runner.id)
        )
        return any(project_role(session, identity, project) >= Role.MAINTAINER for project in projects)
    return False


def _find(request: Request) -> Runner:
    runner = request.session.get(Runner, request.number("runner_id", "Runner"))
    if runner is None:
        raise not_found("Runner")
    return runner


def _managed(request: Request) -> Runner:
    runner = _find(request)
    if not _may_manage(request.session, request.identity, runner):
        raise forbidden("No access granted")
    return runner


def _show(request: Request) -> Answer:
    runner = _find(request)
    if runner.runner_type != RunnerType.INSTANCE and not _may_manage(request.session, request.identity, runner):
        raise forbidden("No access granted")
    return show_runner_details(request.instance, request.session, runner)


def _create(request: Request) -> Answer:
    session, params = request.session, request.params
    kind = RunnerType(params["runner_type"])
    group, project = _owner(request, kind)
    _check(params)
    token = new_token(PREFIX)
    runner = Runner(
        runner_type=kind,
        digest=digest_of(token),
        description=params.get("description"),
        maintenance_note=params.get("maintenance_note"),
        tags=_tags(params),
        run_untagged=params.get("run_untagged") is not False,
        locked=bool(params.get("locked")),
        access_level=params.get("access_level") or AccessLevel.NOT_PROTECTED,
        paused=bool(params.get("paused")),
        maximum_timeout=params.get("maximum_timeout"),
        group_id=group.id if group else None,
        creator_id=request.user.id,
    )
    _check_taggable(runner)
    session.add(runner)
    session.flush()
    if project is not None:
        session.add(RunnerProject(runner_id=runner.id, project_id=project.id))
    changed(session)
    return {"id": runner.id, "token": token, "token_expires_at": None}


def _owner(request: Request, kind: RunnerType) -> tuple[Namespace | None, Project | None]:
    """For whom the new runner works, if whoever asks may give that project or group a runner."""
    session, params = request.session, request.params
    if kind is RunnerType.INSTANCE:
        if not request.identity.admin:
            raise forbidden()
        return None, None
    name = "group_id" if kind is RunnerType.GROUP else "project_id"
    if params.get(name) is None:
        raise parameter(f"{name} is missing")
    if kind is RunnerType.GROUP:
        group = find_namespace(session, params["group_id"])
        if group is None or not group.is_group:
            raise not_found("Group")
        request.require(group_role(session, request.identity, group), Role.OWNER)
        return group, None
    project = find_project(session, params["project_id"])
    if project is None:
        raise not_found("Project")
    request.require(project_role(session, request.identity, project), Role.MAINTAINER)
    return None, project


def _tags(params: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(params.get("tag_list") or []))


def _check(params: dict[str, Any]) -> None:
    if len(params.get("maintenance_note") or "") > _NOTE_LIMIT:
        raise message(400, {"maintenance_note": [f"is too long (maximum is {_NOTE_LIMIT} characters)"]})
    timeout = params.get("maximum_timeout")
    if timeout is not None and timeout < _SHORTEST_TIMEOUT:
        raise message(400, {"maximum_timeout": ["needs to be at least 10 minutes"]})


def _check_taggable(runner: Runner) -> None:
    if not runner.run_untagged and not runner.tags:
        raise message(400, {"tags_list": ["can not be empty when runner is not allowed to pick untagged jobs"]})


def _update(request: Request) -> Answer:
    runner, params = _managed(request), request.params
    _check(params)
    for name in ("description", "maintenance_note", "maximum_timeout"):
        if name in params:
            setattr(runner, name, params[name])
    for name in ("run_untagged", "locked", "access_level", "paused"):
        if params.get(name) is not None:
            setattr(runner, name, params[name])
    if params.get("active") is not None:
        runner.paused = not params["active"]
    if params.get("tag_list") is not None:
        runner.tags = _tags(params)
    _check_taggable(runner)
    changed(request.session)
    request.session.flush()
    return show_runner_details(request.instance, request.session, runner)


def _delete(request: Request) -> Answer:
    request.session.delete(_managed(request))
    changed(request.session)
    return None


def _reset_token(request: Request) -> Answer:
    runner = _managed(request)
    token = new_token(PREFIX)
    runner.digest = digest_of(token)
    changed(request.session)
    return {"token": token, "token_expires_at": None}


def _managers(request: Request) -> Answer:
    runner = _managed(request)
    statement = select(RunnerManager).where(RunnerManager.runner_id == runner.id).order_by(RunnerManager.id.desc())
    return paginate(request, statement, show_manager)


def _jobs(request: Request) -> Answer:
    runner = _managed(request)
    seen = visible_projects(request.session, request.identity)
    statement = select(Job).join(Project, Job.project_id == Project.id).where(Job.runner_id == runner.id, seen)
    if request.params.get("status"):
        statement = statement.where(Job.status == request.params["status"])
    if request.params.get("system_id"):
        managed = select(RunnerManager.id).where(RunnerManager.system_id == request.params["system_id"])
        statement = statement.where(Job.manager_id.in_(managed))
    ascending = request.params["sort"] == "asc"
    statement = statement.order_by(Job.id.asc() if ascending else Job.id.desc())
    return paginate(
        request,
        statement,
        lambda job: {**show_job_basic(request.instance, job), "project": show_identity(job.pipeline.project)},
    )


def _assign(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    runner = request.session.get(Runner, request.params["runner_id"])
    if runner is None:
        raise not_found("Runner")
    if runner.locked:
        raise forbidden("Runner is locked")
    if runner.runner_type != RunnerType.PROJECT or not _may_manage(request.session, request.identity, runner):
        raise forbidden("No access granted")
    if _assignment(request.session, runner, project) is not None:
        raise message(400, {"runner": ["has already been taken"]})
    request.session.add(RunnerProject(runner_id=runner.id, project_id=project.id))
    changed(request.session)
    return show_runner(request.instance, request.session, runner)


def _unassign(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    runner = _find(request)
    assignment = _assignment(request.session, runner, project)
    if assignment is None:
        raise not_found("Runner")
    first = request.session.scalars(
        select(RunnerProject).where(RunnerProject.runner_id == runner.id).order_by(RunnerProject.id).limit(1)
    ).first()
    if first is not None and first.id == assignment.id:
        raise forbidden("You cannot unassign a runner from the owner project. Delete the runner instead")
    request.session.delete(assignment)
    changed(request.session)
    return None


def _assignment(session: Session, runner: Runner, project: Project) -> RunnerProject | None:
    return session.scalars(
        select(RunnerProject).where(RunnerProject.runner_id == runner.id, RunnerProject.project_id == project.id)
    ).first()


_FIELDS: tuple[Parameter, ...] = (
    string("description"),
    string("maintenance_note"),
    boolean("paused"),
    boolean("locked"),
    string("access_level", values=tuple(level.value for level in AccessLevel)),
    boolean("run_untagged"),
    array("tag_list"),
    integer("maximum_timeout"),
)

ROUTES: tuple[Route, ...] = (
    post(
        "/user/runners",
        _create,
        string("runner_type", required=True, values=_TYPES),
        integer("group_id"),
        integer("project_id"),
        *_FIELDS,
        scopes=("create_runner",),
    ),
    get("/runners", _mine, *FILTERS),
    get("/runners/all", _all, *FILTERS, entry=Entry.ADMIN),
    get("/runners/:runner_id", _show),
    put("/runners/:runner_id", _update, *_FIELDS, boolean("active")),
    delete("/runners/:runner_id", _delete),
    get("/runners/:runner_id/managers", _managers),
    get(
        "/runners/:runner_id/jobs",
        _jobs,
        string("system_id"),
        string("status", values=STATUSES),
        string("order_by", values=("id",)),
        string("sort", values=("asc", "desc"), default="desc"),
    ),
    post("/runners/:runner_id/reset_authentication_token", _reset_token),
    get("/projects/:id/runners", _of_project, *FILTERS),
    post("/projects/:id/runners", _assign, integer("runner_id", required=True)),
    delete("/projects/:id/runners/:runner_id", _unassign),
    get("/groups/:id/runners", _of_group, *FILTERS),
)
