"""Groups."""

from __future__ import annotations

from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.gitlab.removal import remove
from infra.provider.gitlab.settings import Visibility
from infra.provider.kind import Fields, Found, Inputs, Kind


class Group(Inputs):
    """A group; its natural key is the full path."""

    path: str
    name: str | None = None
    description: str = ""
    visibility: Visibility = "private"
    project_creation_level: str | None = None
    subgroup_creation_level: str | None = None
    request_access_enabled: bool | None = None
    emails_enabled: bool | None = None


_PLAIN = set(Group.model_fields) - {"path"}


def _read(connections: Connections, wanted: Group) -> Found | None:
    group = connections.gitlab().find_group(wanted.path)
    if group is None:
        return None
    fields = {"path": group.full_path, **{name: getattr(group, name, None) for name in _PLAIN}}
    fields["description"] = fields["description"] or ""
    return Found(fields=fields, computed={"group_id": group.id, "web_url": group.web_url})


def _create(connections: Connections, wanted: Group) -> Fields:
    gitlab = connections.gitlab()
    parent_path, _, path = wanted.path.rpartition("/")
    values = {"name": path, **wanted.model_dump(include=_PLAIN, exclude_none=True), "path": path}
    if parent_path:
        parent = gitlab.find_group(parent_path)
        if parent is None:
            raise ServerError(
                f"there is no group {parent_path!r}", where=wanted.path, fix="declare the parent group first"
            )
        values["parent_id"] = parent.id
    group = gitlab.api.groups.create(values)
    return {"group_id": group.id, "web_url": group.web_url}


def _update(connections: Connections, old: Fields, wanted: Group) -> Fields:
    values = wanted.model_dump(include=_PLAIN, exclude_none=True)
    connections.gitlab().api.groups.update(wanted.path, values)
    return {"group_id": old["group_id"], "web_url": old["web_url"]}


def _delete(connections: Connections, wanted: Group) -> None:
    gitlab = connections.gitlab()
    remove(gitlab.api.groups, wanted.path, lambda: gitlab.find_group(wanted.path))


GROUP = Kind(
    type_name="forgeline:gitlab:Group",
    inputs=Group,
    key=("path",),
    computed={"group_id": int, "web_url": str},
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
