"""Protected branches."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import conflict, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import boolean, hashes, integer, string
from infra.lab.gitlab.api.route import Answer, Request, delete, get, patch, post
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.protection import Action, Protection, ProtectionAccess, RefKind

_NAMES = {
    0: "No one",
    30: "Developers + Maintainers",
    40: "Maintainers",
    60: "Instance admins",
}
_ACTIONS = {
    Action.PUSH: ("push_access_level", "allowed_to_push"),
    Action.MERGE: ("merge_access_level", "allowed_to_merge"),
    Action.UNPROTECT: ("unprotect_access_level", "allowed_to_unprotect"),
}


def show_access(entry: ProtectionAccess) -> dict[str, Any]:
    """API_Entities_ProtectedRefAccess."""
    return {
        "id": entry.id,
        "access_level": entry.access_level,
        "access_level_description": _NAMES.get(entry.access_level or 0, "User"),
        "user_id": entry.user_id,
        "group_id": entry.group_id,
    }


def show_branch_rule(rule: Protection) -> dict[str, Any]:
    """API_Entities_ProtectedBranch."""
    return {
        "id": rule.id,
        "name": rule.name,
        "push_access_levels": [show_access(entry) for entry in rule.entries(Action.PUSH)],
        "merge_access_levels": [show_access(entry) for entry in rule.entries(Action.MERGE)],
        "allow_force_push": rule.allow_force_push,
        "unprotect_access_levels": [show_access(entry) for entry in rule.entries(Action.UNPROTECT)],
        "code_owner_approval_required": False,
        "inherited": False,
    }


def find_rule(request: Request, project: Project, kind: RefKind, name: str) -> Protection | None:
    """The rule with exactly this name or wildcard."""
    wanted = select(Protection).where(
        Protection.project_id == project.id, Protection.kind == kind, Protection.name == name
    )
    return request.session.scalars(wanted).first()


def _list(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    statement = select(Protection).where(Protection.project_id == project.id, Protection.kind == RefKind.BRANCH)
    if text := request.params.get("search"):
        statement = statement.where(Protection.name.icontains(text, autoescape=True))
    return paginate(request, statement.order_by(Protection.name), show_branch_rule)


def _found(request: Request) -> Protection:
    rule = find_rule(request, request.project(Role.MAINTAINER), RefKind.BRANCH, request.segment("name"))
    if rule is None:
        raise not_found()
    return rule


def _show(request: Request) -> Answer:
    return show_branch_rule(_found(request))


def _create(request: Request) -> Answer:
    project, given, session = request.project(Role.MAINTAINER), request.params, request.session
    name = given["name"]
    if not name.strip():
        raise message(422, {"name": ["can't be blank"]})
    if find_rule(request, project, RefKind.BRANCH, name):
        raise conflict(f"Protected branch '{name}' already exists")
    rule = Protection(project_id=project.id, kind=RefKind.BRANCH, name=name)
    rule.allow_force_push = given.get("allow_force_push") or False
    for action, (level_name, entries_name) in _ACTIONS.items():
        entries = given.get(entries_name) or []
        level = given.get(level_name)
        if level is not None:
            rule.access.append(ProtectionAccess(action=action, access_level=level))
        elif not entries and action != Action.UNPROTECT:
            rule.access.append(ProtectionAccess(action=action, access_level=Role.MAINTAINER))
        _add_entries(rule, action, entries)
    session.add(rule)
    session.flush()
    return show_branch_rule(rule)


def _add_entries(rule: Protection, action: Action, entries: list[dict[str, Any]]) -> None:
    """Change a rule's entries as GitLab's nested attributes do: `id` with `_destroy` or a new level, else a new one."""
    held = {entry.id: entry for entry in rule.entries(action)}
    for wanted in entries:
        existing = held.get(wanted.get("id") or 0)
        if wanted.get("id") and existing is None:
            raise not_found()
        if existing is not None and wanted.get("_destroy"):
            rule.access.remove(existing)
        elif existing is not None:
            existing.access_level = wanted.get("access_level", existing.access_level)
        elif wanted.get("user_id") is None and wanted.get("access_level") is None:
            raise message(422, [f"{action.capitalize()} access levels access level is not included in the list"])
        else:
            if any(_same(entry, wanted) for entry in rule.entries(action)):
                raise message(422, [f"{action.capitalize()} access levels access level has already been taken"])
            level, user = wanted.get("access_level"), wanted.get("user_id")
            new = ProtectionAccess(action=action, access_level=None if user else level, user_id=user)
            rule.access.append(new)


def _same(entry: ProtectionAccess, wanted: dict[str, Any]) -> bool:
    if wanted.get("user_id") is not None:
        return bool(entry.user_id == wanted["user_id"])
    return entry.user_id is None and bool(entry.access_level == wanted["access_level"])


def _update(request: Request) -> Answer:
    rule, given = _found(request), request.params
    if given.get("allow_force_push") is not None:
        rule.allow_force_push = given["allow_force_push"]
    for action, (_, entries_name) in _ACTIONS.items():
        _add_entries(rule, action, given.get(entries_name) or [])
    request.session.flush()
    return show_branch_rule(rule)


def _delete(request: Request) -> Answer:
    request.session.delete(_found(request))
    return None


_LEVELS = (30, 40, 60, 0)
_ENTRY = (integer("id"), integer("access_level", values=_LEVELS), integer("user_id"), boolean("_destroy"))
_ENTRIES = (
    hashes("allowed_to_push", *_ENTRY),
    hashes("allowed_to_merge", *_ENTRY),
    hashes("allowed_to_unprotect", *_ENTRY),
)

ROUTES = (
    get("/projects/:id/protected_branches", _list, string("search")),
    post(
        "/projects/:id/protected_branches",
        _create,
        string("name", required=True),
        integer("push_access_level", values=_LEVELS),
        integer("merge_access_level", values=_LEVELS),
        integer("unprotect_access_level", values=(30, 40, 60)),
        boolean("allow_force_push"),
        *_ENTRIES,
    ),
    get("/projects/:id/protected_branches/:name", _show),
    patch("/projects/:id/protected_branches/:name", _update, boolean("allow_force_push"), *_ENTRIES),
    delete("/projects/:id/protected_branches/:name", _delete),
)
