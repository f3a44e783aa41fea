"""Release tags. What a tag holds never changes: other content needs another version."""

from __future__ import annotations

from collections.abc import Mapping

from infra.clients.gitlab import absent
from infra.core.error import BadInputError, ServerError
from infra.provider.connection import Connections
from infra.provider.gitlab.removal import delete_absent_ok
from infra.provider.gitlab.tree import listed
from infra.provider.kind import Fields, Found, Inputs, Kind


class Tag(Inputs):
    """A tag on a commit of `ref` whose tree has these blobs (path to git blob id)."""

    project: str
    tag: str
    ref: str
    blobs: dict[str, str]
    message: str = ""


def _read(connections: Connections, wanted: Tag) -> Found | None:
    project = connections.gitlab().project(wanted.project)
    server = absent(lambda: project.tags.get(wanted.tag))
    if server is None:
        return None
    there = listed(project, wanted.tag)
    expected = getattr(wanted, "blobs", None)
    blobs = {path: blob for path, blob in there.items() if expected is None or path in expected}
    fields = {"project": wanted.project, "tag": server.name, "message": server.message or "", "blobs": blobs}
    return Found(fields=fields, computed={"commit_id": server.commit["id"]})


def _create(connections: Connections, wanted: Tag) -> Fields:
    project = connections.gitlab().project(wanted.project)
    there = listed(project, wanted.ref)
    wrong = _different(there, wanted.blobs)
    if wrong:
        raise ServerError(
            f"{wanted.ref} does not have the content to be tagged: {', '.join(wrong[:5])}",
            where=f"{wanted.project} {wanted.tag}",
            fix="commit the files first",
        )
    made = project.tags.create({"tag_name": wanted.tag, "ref": wanted.ref, "message": wanted.message})
    return {"commit_id": made.commit["id"]}


def _update(connections: Connections, _old: Fields, wanted: Tag) -> Fields:
    project = connections.gitlab().project(wanted.project)
    wrong = _different(listed(project, wanted.tag), wanted.blobs)
    if wrong:
        raise BadInputError(
            f"the tag is there with other content: {', '.join(wrong[:5])}",
            where=f"{wanted.project} {wanted.tag}",
            fix="a published release never changes: raise the version",
        )
    return {"commit_id": project.tags.get(wanted.tag).commit["id"]}


def _different(there: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    return sorted(path for path, blob in wanted.items() if there.get(path) != blob)


def _delete(connections: Connections, wanted: Tag) -> None:
    project = connections.gitlab().project(wanted.project)
    delete_absent_ok(lambda: project.tags.delete(wanted.tag))


TAG = Kind(
    type_name="forgeline:gitlab:Tag",
    inputs=Tag,
    key=("project", "tag"),
    computed={"commit_id": str},
    write_only=frozenset({"ref", "message"}),
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
