"""Protected tags."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import hashes, integer, string
from infra.lab.gitlab.api.protected_branch import find_rule, show_access
from infra.lab.gitlab.api.route import Answer, Request, delete, get, post
from infra.lab.gitlab.store.protection import Action, Protection, ProtectionAccess, RefKind

_LEVELS = (30, 40, 60, 0)


def show_tag_rule(rule: Protection) -> dict[str, Any]:
    """API_Entities_ProtectedTag."""
    entries = rule.entries(Action.CREATE)
    return {"name": rule.name, "create_access_levels": [show_access(entry) for entry in entries]}


def _list(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    statement = select(Protection).where(Protection.project_id == project.id, Protection.kind == RefKind.TAG)
    return paginate(request, statement.order_by(Protection.name), show_tag_rule)


def _found(request: Request) -> Protection:
    rule = find_rule(request, request.project(Role.MAINTAINER), RefKind.TAG, request.segment("name"))
    if rule is None:
        raise not_found()
    return rule


def _show(request: Request) -> Answer:
    return show_tag_rule(_found(request))


def _create(request: Request) -> Answer:
    project, given, session = request.project(Role.MAINTAINER), request.params, request.session
    if not given["name"].strip():
        raise message(422, ["Name can't be blank"])
    if find_rule(request, project, RefKind.TAG, given["name"]):
        raise message(422, ["Name has already been taken"])
    rule = Protection(project_id=project.id, kind=RefKind.TAG, name=given["name"])
    level, entries = given.get("create_access_level"), given.get("allowed_to_create") or []
    if level is not None or not entries:
        level = Role.MAINTAINER if level is None else level
        rule.access.append(ProtectionAccess(action=Action.CREATE, access_level=level))
    for entry in entries:
        if entry.get("user_id") is None and entry.get("access_level") is None:
            raise message(422, ["Create access levels access level is not included in the list"])
        rule.access.append(
            ProtectionAccess(
                action=Action.CREATE,
                access_level=None if entry.get("user_id") else entry.get("access_level"),
                user_id=entry.get("user_id"),
            )
        )
    session.add(rule)
    session.flush()
    return show_tag_rule(rule)


def _delete(request: Request) -> Answer:
    request.session.delete(_found(request))
    return None


ROUTES = (
    get("/projects/:id/protected_tags", _list),
    post(
        "/projects/:id/protected_tags",
        _create,
        string("name", required=True),
        integer("create_access_level", values=_LEVELS),
        hashes("allowed_to_create", integer("access_level", values=_LEVELS), integer("user_id")),
    ),
    get("/projects/:id/protected_tags/:name", _show),
    delete("/projects/:id/protected_tags/:name", _delete),
)
