"""Projects shared with groups: a team's members get their role in a project through their group."""

from __future__ import annotations

from typing import Any

from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.gitlab.level import NAME, NUMBER, Level
from infra.provider.gitlab.removal import delete_absent_ok
from infra.provider.kind import Fields, Found, Inputs, Kind


class ProjectShare(Inputs):
    """A group whose members have at most this role in a project."""

    project: str
    group: str
    """Its full path."""
    access_level: Level = "developer"


def _read(connections: Connections, wanted: ProjectShare) -> Found | None:
    project = connections.gitlab().find_project(wanted.project)
    for share in project.shared_with_groups if project is not None else ():
        if share["group_full_path"] == wanted.group:
            level = NAME.get(share["group_access_level"], str(share["group_access_level"]))
            fields = {"project": wanted.project, "group": wanted.group, "access_level": level}
            return Found(fields=fields, computed={"group_id": share["group_id"]})
    return None


def _group(connections: Connections, wanted: ProjectShare) -> Any:
    group = connections.gitlab().find_group(wanted.group)
    if group is None:
        raise ServerError(
            f"there is no group {wanted.group!r}",
            where=wanted.project,
            fix="`forgeline up` makes a group of each team in teams.yaml",
        )
    return group


def _create(connections: Connections, wanted: ProjectShare) -> Fields:
    group = _group(connections, wanted)
    connections.gitlab().project(wanted.project).share(group.id, NUMBER[wanted.access_level])
    return {"group_id": group.id}


def _update(connections: Connections, _old: Fields, wanted: ProjectShare) -> Fields:
    _delete(connections, wanted)
    return _create(connections, wanted)


def _delete(connections: Connections, wanted: ProjectShare) -> None:
    gitlab = connections.gitlab()
    group = gitlab.find_group(wanted.group)
    if group is not None:
        delete_absent_ok(lambda: gitlab.project(wanted.project).unshare(group.id))


PROJECT_SHARE = Kind(
    type_name="forgeline:gitlab:ProjectShare",
    inputs=ProjectShare,
    key=("project", "group"),
    computed={"group_id": int},
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
