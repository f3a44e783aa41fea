"""Protected branches and protected tags.

The free edition can't change who may push in place, so a change is a removal and a new protection at once.
"""

from __future__ import annotations

from infra.clients.gitlab import absent
from infra.provider.connection import Connections
from infra.provider.gitlab.level import NUMBER, Level, names
from infra.provider.gitlab.removal import delete_absent_ok
from infra.provider.kind import Fields, Found, Inputs, Kind


class ProtectedBranch(Inputs):
    """Protection of a branch, or of those that a wildcard matches."""

    project: str
    branch: str
    push_access_level: Level = "maintainer"
    merge_access_level: Level = "maintainer"
    allow_force_push: bool = False


class ProtectedTag(Inputs):
    """Protection of a tag, or of those that a wildcard matches."""

    project: str
    tag: str
    create_access_level: Level = "maintainer"


def _read_branch(connections: Connections, wanted: ProtectedBranch) -> Found | None:
    protections = connections.gitlab().project(wanted.project).protectedbranches
    server = absent(lambda: protections.get(wanted.branch))
    if server is None:
        return None
    return Found(
        fields={
            "project": wanted.project,
            "branch": server.name,
            "push_access_level": names(server.push_access_levels),
            "merge_access_level": names(server.merge_access_levels),
            "allow_force_push": bool(server.allow_force_push),
        }
    )


def _create_branch(connections: Connections, wanted: ProtectedBranch) -> Fields:
    connections.gitlab().project(wanted.project).protectedbranches.create(
        {
            "name": wanted.branch,
            "push_access_level": NUMBER[wanted.push_access_level],
            "merge_access_level": NUMBER[wanted.merge_access_level],
            "allow_force_push": wanted.allow_force_push,
        }
    )
    return {}


def _update_branch(connections: Connections, _old: Fields, wanted: ProtectedBranch) -> Fields:
    _delete_branch(connections, wanted)
    return _create_branch(connections, wanted)


def _delete_branch(connections: Connections, wanted: ProtectedBranch) -> None:
    protections = connections.gitlab().project(wanted.project).protectedbranches
    delete_absent_ok(lambda: protections.delete(wanted.branch))


def _read_tag(connections: Connections, wanted: ProtectedTag) -> Found | None:
    protections = connections.gitlab().project(wanted.project).protectedtags
    server = absent(lambda: protections.get(wanted.tag))
    if server is None:
        return None
    level = names(server.create_access_levels)
    return Found(fields={"project": wanted.project, "tag": server.name, "create_access_level": level})


def _create_tag(connections: Connections, wanted: ProtectedTag) -> Fields:
    connections.gitlab().project(wanted.project).protectedtags.create(
        {"name": wanted.tag, "create_access_level": NUMBER[wanted.create_access_level]}
    )
    return {}


def _update_tag(connections: Connections, _old: Fields, wanted: ProtectedTag) -> Fields:
    _delete_tag(connections, wanted)
    return _create_tag(connections, wanted)


def _delete_tag(connections: Connections, wanted: ProtectedTag) -> None:
    protections = connections.gitlab().project(wanted.project).protectedtags
    delete_absent_ok(lambda: protections.delete(wanted.tag))


PROTECTED_BRANCH = Kind(
    type_name="forgeline:gitlab:ProtectedBranch",
    inputs=ProtectedBranch,
    key=("project", "branch"),
    read=_read_branch,
    create=_create_branch,
    update=_update_branch,
    delete=_delete_branch,
)
PROTECTED_TAG = Kind(
    type_name="forgeline:gitlab:ProtectedTag",
    inputs=ProtectedTag,
    key=("project", "tag"),
    read=_read_tag,
    create=_create_tag,
    update=_update_tag,
    delete=_delete_tag,
)
