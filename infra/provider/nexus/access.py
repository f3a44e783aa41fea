"""Who may do what: users, roles, privileges and content selectors."""

from __future__ import annotations

import threading
from typing import Any, Literal

from pydantic import Field

from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.kind import DIFFERS, Fields, Found, Inputs, Kind, Names, Ref

_ONE_AT_A_TIME = threading.Lock()
"""Nexus loses its way when several of these are written at once (seen on 3.71: 404 for what was just made)."""


class Role(Inputs):
    """A role: privileges, and the roles it includes."""

    role_id: str
    name: str | None = None
    description: str = ""
    privileges: Names = Field(default_factory=list)
    roles: Names = Field(default_factory=list)


class User(Inputs):
    """A user of Nexus's own source. `password` names where the password is kept."""

    user_id: str
    first_name: str
    last_name: str
    email: str
    roles: Names
    password: Ref
    status: Literal["active", "disabled"] = "active"


class Privilege(Inputs):
    """A privilege. Which fields matter is decided by `type`."""

    name: str
    type: Literal["repository-view", "repository-admin", "repository-content-selector", "application", "wildcard"]
    description: str = ""
    actions: Names | None = None
    format: str | None = None
    repository: str | None = None
    content_selector: str | None = None
    domain: str | None = None
    pattern: str | None = None


class ContentSelector(Inputs):
    """A CSEL expression over format and path."""

    name: str
    expression: str
    description: str = ""


def _read_role(connections: Connections, wanted: Role) -> Found | None:
    server = connections.nexus().role(wanted.role_id)
    if server is None:
        return None
    return Found(
        fields={
            "role_id": server["id"],
            "name": server["name"],
            "description": server.get("description") or "",
            "privileges": sorted(server.get("privileges") or []),
            "roles": sorted(server.get("roles") or []),
        }
    )


def _write_role(connections: Connections, wanted: Role) -> Fields:
    body = {"id": wanted.role_id, **wanted.model_dump(exclude={"role_id"}), "name": wanted.name or wanted.role_id}
    with _ONE_AT_A_TIME:
        connections.nexus().put_role(body)
    return {}


def _delete_role(connections: Connections, wanted: Role) -> None:
    connections.nexus().delete_role(wanted.role_id)


def _read_user(connections: Connections, wanted: User) -> Found | None:
    nexus = connections.nexus()
    server = nexus.user(wanted.user_id)
    if server is None:
        return None
    reference = getattr(wanted, "password", None)
    value = None if reference is None else connections.find_secret(reference)
    known = value is not None and nexus.accepts(wanted.user_id, value)
    return Found(
        fields={
            "user_id": server["userId"],
            "first_name": server["firstName"],
            "last_name": server["lastName"],
            "email": server["emailAddress"],
            "roles": sorted(server["roles"]),
            "password": reference if known else DIFFERS,
            "status": server["status"],
        }
    )


def _user(wanted: User) -> dict[str, Any]:
    return {
        "userId": wanted.user_id,
        "firstName": wanted.first_name,
        "lastName": wanted.last_name,
        "emailAddress": wanted.email,
        "roles": wanted.roles,
        "status": wanted.status,
    }


def _create_user(connections: Connections, wanted: User) -> Fields:
    connections.nexus().put_user(_user(wanted), connections.secret(wanted.password))
    return {}


def _update_user(connections: Connections, _old: Fields, wanted: User) -> Fields:
    nexus, password = connections.nexus(), connections.secret(wanted.password)
    nexus.put_user(_user(wanted))
    if not nexus.accepts(wanted.user_id, password):
        nexus.change_password(wanted.user_id, password)
    return {}


def _delete_user(connections: Connections, wanted: User) -> None:
    connections.nexus().delete_user(wanted.user_id)


_PRIVILEGE = {
    "format": "format",
    "repository": "repository",
    "content_selector": "contentSelector",
    "domain": "domain",
    "pattern": "pattern",
}


def _read_privilege(connections: Connections, wanted: Privilege) -> Found | None:
    server = connections.nexus().privilege(wanted.name)
    if server is None:
        return None
    actions = server.get("actions")
    return Found(
        fields={
            "name": server["name"],
            "type": server["type"],
            "description": server.get("description") or "",
            "actions": None if actions is None else sorted(action.lower() for action in actions),
            **{field: server.get(word) for field, word in _PRIVILEGE.items()},
        }
    )


def _write_privilege(connections: Connections, wanted: Privilege) -> Fields:
    given = wanted.model_dump(exclude_none=True)
    body = {word: given[field] for field, word in _PRIVILEGE.items() if field in given}
    if wanted.actions is not None:
        body["actions"] = [action.upper() for action in wanted.actions]
    body |= {"name": wanted.name, "description": wanted.description}
    with _ONE_AT_A_TIME:
        connections.nexus().put_privilege(wanted.type, body)
    return {}


def _delete_privilege(connections: Connections, wanted: Privilege) -> None:
    connections.nexus().delete_privilege(wanted.name)


def _read_selector(connections: Connections, wanted: ContentSelector) -> Found | None:
    server = connections.nexus().content_selector(wanted.name)
    if server is None:
        return None
    fields = {"name": server["name"], "expression": server["expression"]}
    return Found(fields={**fields, "description": server.get("description") or ""})


def _write_selector(connections: Connections, wanted: ContentSelector) -> Fields:
    try:
        with _ONE_AT_A_TIME:
            connections.nexus().put_content_selector(wanted.model_dump())
    except ServerError:
        # Nexus looks up what it made in a cache that may not have it yet, and then answers 404.
        found = _read_selector(connections, wanted)
        if found is None or dict(found.fields) != wanted.model_dump():
            raise
    return {}


def _delete_selector(connections: Connections, wanted: ContentSelector) -> None:
    connections.nexus().delete_content_selector(wanted.name)


CONTENT_SELECTOR = Kind(
    type_name="forgeline:nexus:ContentSelector",
    inputs=ContentSelector,
    key=("name",),
    read=_read_selector,
    create=_write_selector,
    update=lambda connections, _old, wanted: _write_selector(connections, wanted),
    delete=_delete_selector,
)
PRIVILEGE = Kind(
    type_name="forgeline:nexus:Privilege",
    inputs=Privilege,
    key=("name",),
    replace=frozenset({"type"}),
    read=_read_privilege,
    create=_write_privilege,
    update=lambda connections, _old, wanted: _write_privilege(connections, wanted),
    delete=_delete_privilege,
)
ROLE = Kind(
    type_name="forgeline:nexus:Role",
    inputs=Role,
    key=("role_id",),
    read=_read_role,
    create=_write_role,
    update=lambda connections, _old, wanted: _write_role(connections, wanted),
    delete=_delete_role,
)
USER = Kind(
    type_name="forgeline:nexus:User",
    inputs=User,
    key=("user_id",),
    read=_read_user,
    create=_create_user,
    update=_update_user,
    delete=_delete_user,
)
