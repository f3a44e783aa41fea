"""Protected branches of a group, which guard its projects' branches beside their own rules."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import conflict, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, boolean, integer, string
from infra.lab.gitlab.api.protected_branch import show_branch_rule
from infra.lab.gitlab.api.route import Answer, Request, delete, get, patch, post
from infra.lab.gitlab.store.group_protection import GroupProtection
from infra.lab.gitlab.store.namespace import Namespace
from infra.lab.gitlab.store.protection import from_group

_LEVELS = (30, 40, 60, 0)


def _show(rule: GroupProtection) -> dict[str, Any]:
    """API_Entities_ProtectedBranch."""
    return {**show_branch_rule(from_group(rule)), "id": rule.id}


def _group(request: Request) -> Namespace:
    group = request.group(Role.OWNER)
    if group.parent_id is not None:
        raise message(400, "400 Bad request - only a top-level group has protected branches")
    return group


def _rules(group: Namespace) -> Any:
    return select(GroupProtection).where(GroupProtection.group_id == group.id)


def _list(request: Request) -> Answer:
    return paginate(request, _rules(_group(request)).order_by(GroupProtection.name), _show)


def _found(request: Request) -> GroupProtection:
    wanted = _rules(_group(request)).where(GroupProtection.name == request.segment("name"))
    rule: GroupProtection | None = request.session.scalars(wanted).first()
    if rule is None:
        raise not_found()
    return rule


def _show_one(request: Request) -> Answer:
    return _show(_found(request))


def _create(request: Request) -> Answer:
    group, given = _group(request), request.params
    name = given["name"]
    if request.session.scalars(_rules(group).where(GroupProtection.name == name)).first():
        raise conflict(f"Protected branch '{name}' already exists")
    rule = GroupProtection(
        group_id=group.id,
        name=name,
        push_level=given["push_access_level"],
        merge_level=given["merge_access_level"],
        allow_force_push=given["allow_force_push"],
    )
    request.session.add(rule)
    request.session.flush()
    return _show(rule)


def _update(request: Request) -> Answer:
    rule = _found(request)
    if request.params.get("allow_force_push") is not None:
        rule.allow_force_push = request.params["allow_force_push"]
    return _show(rule)


def _delete(request: Request) -> Answer:
    request.session.delete(_found(request))
    return None


_ALL = "/groups/:id/protected_branches"
_NEW: tuple[Parameter, ...] = (
    string("name", required=True),
    *(integer(f"{action}_access_level", values=_LEVELS, default=40) for action in ("push", "merge")),
    boolean("allow_force_push", default=False),
)

ROUTES = (
    get(_ALL, _list),
    post(_ALL, _create, *_NEW),
    get(f"{_ALL}/:name", _show_one),
    patch(f"{_ALL}/:name", _update, boolean("allow_force_push")),
    delete(f"{_ALL}/:name", _delete),
)
