"""Pipeline schedules and their variables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Role, project_role
from infra.lab.gitlab.api.ci_entity import show_pipeline_basic
from infra.lab.gitlab.api.error import forbidden, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, boolean, refused, string
from infra.lab.gitlab.api.pipeline import readable_project
from infra.lab.gitlab.api.route import Answer, Request, Response, Transaction, delete, get, post, put
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.cron import CronError
from infra.lab.gitlab.pipelines.creation import PipelineRefusedError
from infra.lab.gitlab.pipelines.permission import may_run
from infra.lab.gitlab.pipelines.schedule import plan_next_run, run_schedule
from infra.lab.gitlab.store.base import now, stamp
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.schedule import PipelineSchedule

_BRANCH, _TAG = "refs/heads/", "refs/tags/"


def _show(request: Request, schedule: PipelineSchedule) -> dict[str, Any]:
    """API_Entities_Ci_PipelineSchedule."""
    return {
        "id": schedule.id,
        "description": schedule.description,
        "ref": schedule.ref,
        "cron": schedule.cron,
        "cron_timezone": schedule.cron_timezone,
        "next_run_at": stamp(schedule.next_run_at),
        "active": schedule.active,
        "created_at": stamp(schedule.created_at),
        "updated_at": stamp(schedule.updated_at),
        "owner": basic(request.instance, schedule.owner) if schedule.owner else None,
        "inputs": [],
    }


def _show_whole(request: Request, schedule: PipelineSchedule) -> dict[str, Any]:
    """API_Entities_Ci_PipelineScheduleDetails. Variables are for those who may change it."""
    last = request.session.scalars(_pipelines_of(schedule).limit(1)).first()
    shown = {
        **_show(request, schedule),
        "last_pipeline": show_pipeline_basic(request.instance, last) if last else None,
    }
    if _may_change(request, schedule):
        shown["variables"] = [_show_variable(each) for each in schedule.variables]
    return shown


def _pipelines_of(schedule: PipelineSchedule) -> Any:
    return select(Pipeline).where(Pipeline.schedule_id == schedule.id).order_by(Pipeline.id.desc())


def _show_variable(given: dict[str, Any]) -> dict[str, Any]:
    return {"variable_type": given["variable_type"], "key": given["key"], "value": given["value"], "raw": False}


def _may_change(request: Request, schedule: PipelineSchedule) -> bool:
    role = project_role(request.session, request.identity, schedule.project)
    return role >= Role.MAINTAINER or (role >= Role.DEVELOPER and schedule.owner_id == request.identity.user_id)


def _found(request: Request, minimum: Role | None = None, session: Session | None = None) -> PipelineSchedule:
    """The schedule, for who has the role, or without one for who may see pipelines."""
    session = session or request.session
    project = readable_project(request) if minimum is None else request.project(minimum, session=session)
    schedule = session.get(PipelineSchedule, request.number("pipeline_schedule_id", "Pipeline Schedule"))
    if schedule is None or schedule.project_id != project.id:
        raise not_found("Pipeline Schedule")
    return schedule


def _own(request: Request) -> PipelineSchedule:
    schedule = _found(request, Role.DEVELOPER)
    if not _may_change(request, schedule):
        raise forbidden()
    return schedule


def _list(request: Request) -> Answer:
    project, scope = readable_project(request), request.params.get("scope")
    statement = select(PipelineSchedule).where(PipelineSchedule.project_id == project.id)
    if scope:
        statement = statement.where(PipelineSchedule.active.is_(scope == "active"))
    return paginate(request, statement.order_by(PipelineSchedule.id), lambda each: _show(request, each))


def _show_one(request: Request) -> Answer:
    return _show_whole(request, _found(request))


def _create(request: Request) -> Answer:
    project, given = request.project(Role.DEVELOPER), request.params
    schedule = PipelineSchedule(
        project_id=project.id, project=project, owner_id=request.user.id, variables=[], cron_timezone="UTC", active=True
    )
    _apply(request, project, schedule, given)
    request.session.add(schedule)
    request.session.flush()
    request.session.refresh(schedule)
    return _show_whole(request, schedule)


def _apply(request: Request, project: Project, schedule: PipelineSchedule, given: dict[str, Any]) -> None:
    for name in ("description", "cron", "cron_timezone", "active"):
        if given.get(name) is not None:
            setattr(schedule, name, given[name])
    if given.get("ref"):
        schedule.ref = _full_ref(request, project, given["ref"])
    try:
        plan_next_run(schedule)
    except CronError as error:
        raise message(400, {"cron": [str(error)]}) from error
    schedule.updated_at = now()


def _full_ref(request: Request, project: Project, ref: str) -> str:
    repository = request.instance.repository(project.id)
    short = ref.removeprefix(_BRANCH).removeprefix(_TAG)
    is_branch = not ref.startswith(_TAG) and repository.branch(short) is not None
    if not is_branch and repository.tag(short) is None:
        raise message(400, {"ref": ["is ambiguous or does not exist"]})
    if not may_run(request.session, request.identity, project, short, tag=not is_branch):
        raise forbidden()
    return f"{_BRANCH if is_branch else _TAG}{short}"


def _update(request: Request) -> Answer:
    schedule = _own(request)
    _apply(request, schedule.project, schedule, request.params)
    return _show_whole(request, schedule)


def _delete(request: Request) -> Answer:
    request.session.delete(_own(request))
    return None


def _take(request: Request) -> Answer:
    schedule = _found(request, Role.MAINTAINER)
    schedule.owner_id, schedule.owner = request.user.id, request.user
    return _show_whole(request, schedule)


def _play(request: Request) -> Answer:
    with request.instance.store.read() as session:
        schedule = _found(request, Role.DEVELOPER, session)
    try:
        run_schedule(request.instance, schedule, request.user)
    except PipelineRefusedError as error:
        raise message(400, {"base": error.messages}) from error
    return {"message": "201 Created"}


def _pipelines(request: Request) -> Answer:
    statement = _pipelines_of(_found(request))
    return paginate(request, statement, lambda each: show_pipeline_basic(request.instance, each))


def _set_variable(request: Request) -> Answer:
    schedule, given = _own(request), request.params
    if any(each["key"] == given["key"] for each in schedule.variables):
        raise message(400, {"variables": ["have duplicate values"]})
    made = {"key": given["key"], "value": given["value"], "variable_type": given["variable_type"]}
    schedule.variables = [*schedule.variables, made]
    return _show_variable(made)


def _variable(request: Request, schedule: PipelineSchedule) -> dict[str, Any]:
    key = request.segment("key")
    found: dict[str, Any] | None = next((each for each in schedule.variables if each["key"] == key), None)
    if found is None:
        raise not_found("Variable")
    return found


def _change_variable(request: Request) -> Answer:
    schedule, given = _own(request), request.params
    before = _variable(request, schedule)
    after = {**before, **{name: value for name, value in given.items() if value is not None}}
    schedule.variables = [after if each is before else each for each in schedule.variables]
    return _show_variable(after)


def _delete_variable(request: Request) -> Answer:
    schedule = _own(request)
    gone = _variable(request, schedule)
    schedule.variables = [each for each in schedule.variables if each is not gone]
    return Response(_show_variable(gone), status=202)


_ALL = "/projects/:id/pipeline_schedules"
_ONE = f"{_ALL}/:pipeline_schedule_id"
_TYPES = ("env_var", "file")


def _fields(*, new: bool) -> tuple[Parameter, ...]:
    texts = (string(name, required=new) for name in ("description", "ref", "cron"))
    return (*texts, string("cron_timezone"), boolean("active"), *refused("inputs"))


ROUTES = (
    get(_ALL, _list, string("scope", values=("active", "inactive"))),
    post(_ALL, _create, *_fields(new=True)),
    get(_ONE, _show_one),
    put(_ONE, _update, *_fields(new=False)),
    delete(_ONE, _delete),
    get(f"{_ONE}/pipelines", _pipelines),
    post(f"{_ONE}/take_ownership", _take),
    post(f"{_ONE}/play", _play, transaction=Transaction.OWN),
    post(
        f"{_ONE}/variables",
        _set_variable,
        string("key", required=True),
        string("value", required=True),
        string("variable_type", values=_TYPES, default="env_var"),
    ),
    put(f"{_ONE}/variables/:key", _change_variable, string("value"), string("variable_type", values=_TYPES)),
    delete(f"{_ONE}/variables/:key", _delete_variable),
)
