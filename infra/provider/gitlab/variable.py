"""CI/CD variables of groups and projects. A secret one is a reference; its value goes from OpenBao to GitLab."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from infra.clients.gitlab import absent
from infra.provider.connection import Connections
from infra.provider.gitlab.removal import delete_absent_ok
from infra.provider.kind import DIFFERS, Fields, Found, Inputs, Kind, Ref


class _Variable(Inputs):
    key: str
    value: str | None = None
    secret: Ref | None = None
    variable_type: Literal["env_var", "file"] = "env_var"
    protected: bool = False
    masked: bool = False
    raw: bool = False
    description: str | None = None

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if (self.value is None) == (self.secret is None):
            raise ValueError("give either 'value' or 'secret'")
        return self


class GroupVariable(_Variable):
    """A CI/CD variable of a group; give `value`, or `secret` as a reference."""

    group: str


class ProjectVariable(_Variable):
    """A CI/CD variable of a project; give `value`, or `secret` as a reference."""

    project: str
    environment_scope: str = "*"


_PLAIN = {"key", "variable_type", "protected", "masked", "raw", "description"}


def _payload(connections: Connections, wanted: _Variable) -> dict[str, Any]:
    values = wanted.model_dump(include=_PLAIN, exclude_none=True)
    secret = wanted.secret
    values["value"] = connections.secret(secret).reveal() if secret is not None else wanted.value
    return values


def _found(connections: Connections, wanted: _Variable, server: Any) -> dict[str, Any]:
    fields = {name: getattr(server, name, None) for name in _PLAIN}
    secret = getattr(wanted, "secret", None)
    if secret is not None:
        same = connections.secret(secret).reveal() == server.value
        return {**fields, "value": None, "secret": secret if same else DIFFERS}
    # Nobody but the one who declared it knows whether a value is a secret: a masked one is never shown.
    value = DIFFERS if getattr(server, "masked", False) else server.value
    return {**fields, "value": value, "secret": None}


def _read_group(connections: Connections, wanted: GroupVariable) -> Found | None:
    variables = connections.gitlab().group(wanted.group).variables
    server = absent(lambda: variables.get(wanted.key))
    if server is None:
        return None
    return Found(fields={"group": wanted.group, **_found(connections, wanted, server)})


def _create_group(connections: Connections, wanted: GroupVariable) -> Fields:
    connections.gitlab().group(wanted.group).variables.create(_payload(connections, wanted))
    return {}


def _update_group(connections: Connections, _old: Fields, wanted: GroupVariable) -> Fields:
    connections.gitlab().group(wanted.group).variables.update(wanted.key, _payload(connections, wanted))
    return {}


def _delete_group(connections: Connections, wanted: GroupVariable) -> None:
    variables = connections.gitlab().group(wanted.group).variables
    delete_absent_ok(lambda: variables.delete(wanted.key))


def _scope(wanted: ProjectVariable) -> dict[str, Any]:
    return {"filter": {"environment_scope": wanted.environment_scope}}


def _read_project(connections: Connections, wanted: ProjectVariable) -> Found | None:
    variables = connections.gitlab().project(wanted.project).variables
    server = absent(lambda: variables.get(wanted.key, **_scope(wanted)))
    if server is None:
        return None
    fields = {"project": wanted.project, "environment_scope": server.environment_scope}
    return Found(fields={**fields, **_found(connections, wanted, server)})


def _create_project(connections: Connections, wanted: ProjectVariable) -> Fields:
    payload = {**_payload(connections, wanted), "environment_scope": wanted.environment_scope}
    connections.gitlab().project(wanted.project).variables.create(payload)
    return {}


def _update_project(connections: Connections, _old: Fields, wanted: ProjectVariable) -> Fields:
    payload = {**_payload(connections, wanted), **_scope(wanted)}
    connections.gitlab().project(wanted.project).variables.update(wanted.key, payload)
    return {}


def _delete_project(connections: Connections, wanted: ProjectVariable) -> None:
    variables = connections.gitlab().project(wanted.project).variables
    delete_absent_ok(lambda: variables.delete(wanted.key, **_scope(wanted)))


GROUP_VARIABLE = Kind(
    type_name="forgeline:gitlab:GroupVariable",
    inputs=GroupVariable,
    key=("group", "key"),
    read=_read_group,
    create=_create_group,
    update=_update_group,
    delete=_delete_group,
)
PROJECT_VARIABLE = Kind(
    type_name="forgeline:gitlab:ProjectVariable",
    inputs=ProjectVariable,
    key=("project", "key", "environment_scope"),
    read=_read_project,
    create=_create_project,
    update=_update_project,
    delete=_delete_project,
)
