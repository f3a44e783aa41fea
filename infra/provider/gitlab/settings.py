"""The settings of a whole GitLab instance."""

from __future__ import annotations

from typing import Any, Literal

from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind, nothing_to_delete

Visibility = Literal["private", "internal", "public"]


class ApplicationSettings(Inputs):
    """Settings of the GitLab instance. There is one; removing the resource leaves it as it is."""

    name: Literal["instance"] = "instance"
    signup_enabled: bool = False
    default_project_visibility: Visibility | None = None
    default_group_visibility: Visibility | None = None
    default_branch_name: str | None = None
    can_create_group: bool | None = None
    gravatar_enabled: bool | None = None


def _fields(server: Any) -> dict[str, Any]:
    return {"name": "instance", **{field: getattr(server, field, None) for field in _SETTINGS}}


def _read(connections: Connections, _wanted: ApplicationSettings) -> Found:
    return Found(fields=_fields(connections.gitlab().api.settings.get()))


def _write(connections: Connections, wanted: ApplicationSettings) -> Fields:
    values = wanted.model_dump(include=_SETTINGS, exclude_none=True)
    connections.gitlab().api.settings.update(None, values)
    return {}


_SETTINGS = set(ApplicationSettings.model_fields) - {"name"}

APPLICATION_SETTINGS = Kind(
    type_name="forgeline:gitlab:ApplicationSettings",
    inputs=ApplicationSettings,
    key=("name",),
    read=_read,
    create=_write,
    update=lambda connections, _old, wanted: _write(connections, wanted),
    delete=nothing_to_delete,
)
