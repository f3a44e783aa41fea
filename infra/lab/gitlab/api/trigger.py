"""Trigger tokens, and pipelines started with one."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import or_, select

from infra.lab.gitlab.access import Identity, Role
from infra.lab.gitlab.api.ci_entity import show_pipeline
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import hash_of, moment, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Transaction, delete, get, post, put
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.creation import PipelineRefusedError, PipelineRequest, create_pipeline
from infra.lab.gitlab.store.base import now, stamp
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.project import find_project
from infra.lab.gitlab.store.token import digest_of
from infra.lab.gitlab.store.trigger import Trigger
from pipelines.language.model import PipelineSource

PREFIX = "glptt-"
_SHOWN = 10


def _show(instance: Instance, trigger: Trigger, token: str = "") -> dict[str, Any]:
    """API_Entities_Trigger. The token is shown whole when it is made, later only its start."""
    return {
        "id": trigger.id,
        "token": token or trigger.start,
        "description": trigger.description,
        "created_at": stamp(trigger.created_at),
        "updated_at": stamp(trigger.updated_at),
        "last_used": stamp(trigger.last_used),
        "expires_at": stamp(trigger.expires_at),
        "owner": basic(instance, trigger.owner),
    }


def _list(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    statement = select(Trigger).where(Trigger.project_id == project.id).order_by(Trigger.id)
    return paginate(request, statement, lambda each: _show(request.instance, each))


def _found(request: Request) -> Trigger:
    project = request.project(Role.MAINTAINER)
    trigger = request.session.get(Trigger, request.number("trigger_id", "Trigger"))
    if trigger is None or trigger.project_id != project.id:
        raise not_found("Trigger")
    return trigger


def _show_one(request: Request) -> Answer:
    return _show(request.instance, _found(request))


def _create(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    token = PREFIX + secrets.token_hex(20)
    trigger = Trigger(
        project_id=project.id,
        owner_id=request.user.id,
        digest=digest_of(token),
        start=token[:_SHOWN],
        description=request.params["description"],
        expires_at=request.params.get("expires_at"),
    )
    request.session.add(trigger)
    request.session.flush()
    request.session.refresh(trigger)
    return _show(request.instance, trigger, token)


def _update(request: Request) -> Answer:
    trigger = _found(request)
    trigger.description = request.params.get("description") or trigger.description
    trigger.updated_at = now()
    return _show(request.instance, trigger)


def _delete(request: Request) -> Answer:
    request.session.delete(_found(request))
    return None


def _start(request: Request) -> Answer:
    """A pipeline in the name of the token's owner."""
    given, key = request.params, request.segment("id")
    with request.instance.store.write() as session:
        project = find_project(session, key) if key.isdecimal() or "/" in key else None
        valid = or_(Trigger.expires_at.is_(None), Trigger.expires_at > now())
        trigger = session.scalars(select(Trigger).where(Trigger.digest == digest_of(given["token"]), valid)).first()
        if project is None or trigger is None or trigger.project_id != project.id:
            raise not_found()
        trigger.last_used = now()
        owner = trigger.owner
    pairs = (given.get("variables") or {}).items()
    wanted = PipelineRequest(
        project_id=project.id,
        ref=given["ref"],
        identity=Identity(user=owner),
        source=PipelineSource.TRIGGER,
        variables=tuple({"key": str(name), "value": str(value), "variable_type": "env_var"} for name, value in pairs),
    )
    try:
        made = create_pipeline(request.instance, wanted)
    except PipelineRefusedError as error:
        raise message(400, {"base": error.messages}) from error
    with request.instance.store.read() as session:
        return show_pipeline(request.instance, session, session.get_one(Pipeline, made))


_ONE = "/projects/:id/triggers/:trigger_id"

ROUTES = (
    get("/projects/:id/triggers", _list),
    post("/projects/:id/triggers", _create, string("description", required=True), moment("expires_at")),
    get(_ONE, _show_one),
    put(_ONE, _update, string("description")),
    delete(_ONE, _delete),
    post(
        "/projects/:id/trigger/pipeline",
        _start,
        string("ref", required=True),
        string("token", required=True),
        hash_of("variables"),
        entry=Entry.OPEN,
        transaction=Transaction.OWN,
    ),
)
