"""Files of a repository: kept as declared, or put in once to seed an empty repository."""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import Field

from infra.core.blob import blob_id
from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.gitlab.tree import listed
from infra.provider.kind import Fields, Found, Inputs, Kind, Names, nothing_to_delete


class RepositoryFiles(Inputs):
    """A set of text files on a branch, written in one commit.

    `managed`: the branch has these contents, and a file that leaves the set is removed; other files are not touched.
    `seed`: written only into an empty repository; from then on the files belong to the repository's people.
    """

    project: str
    branch: str
    files: dict[str, str]
    executable: Names = Field(default_factory=list)
    message: str = "Update managed files"
    mode: Literal["managed", "seed"] = "managed"


def _read(connections: Connections, wanted: RepositoryFiles) -> Found | None:
    gitlab = connections.gitlab()
    project = gitlab.project(wanted.project)
    there = listed(project, wanted.branch)
    if not there:
        return None
    given = wanted.model_dump(include={"project", "branch", "message", "mode", "executable", "files"})
    if not given.get("files"):
        return Found(fields={**given, "files": {path: _content(project, path, wanted.branch) for path in there}})
    if wanted.mode == "seed":
        return Found(fields=given)
    files = {
        path: text if there[path] == blob_id(text) else _content(project, path, wanted.branch)
        for path, text in wanted.files.items()
        if path in there
    }
    return Found(fields={**given, "files": files})


def _content(project: Any, path: str, ref: str) -> str:
    return base64.b64decode(project.files.get(path, ref=ref).content).decode("utf-8", errors="replace")


def _create(connections: Connections, wanted: RepositoryFiles) -> Fields:
    return _commit(connections, {}, wanted)


def _update(connections: Connections, old: Fields, wanted: RepositoryFiles) -> Fields:
    if wanted.mode == "seed":
        return {}
    return _commit(connections, old.get("files") or {}, wanted)


def _commit(connections: Connections, before: Fields, wanted: RepositoryFiles) -> Fields:
    """Brings the branch to what is wanted in one commit; makes none where nothing differs."""
    gitlab = connections.gitlab()
    found = gitlab.find_project(wanted.project)
    if found is None:
        raise ServerError(
            f"there is no project {wanted.project!r}", where=wanted.branch, fix="declare the project first"
        )
    there = listed(found, wanted.branch)
    actions: list[dict[str, Any]] = []
    for path, text in sorted(wanted.files.items()):
        if path not in there:
            action: dict[str, Any] = {"action": "create", "file_path": path, "content": text}
            if path in wanted.executable:
                action["execute_filemode"] = True
            actions.append(action)
        elif there[path] != blob_id(text):
            actions.append({"action": "update", "file_path": path, "content": text})
    gone = sorted(set(before) - set(wanted.files))
    actions += [{"action": "delete", "file_path": path} for path in gone if path in there]
    if actions:
        payload: dict[str, Any] = {"branch": wanted.branch, "commit_message": wanted.message, "actions": actions}
        default = getattr(found, "default_branch", None)
        if not there and default and default != wanted.branch and not getattr(found, "empty_repo", False):
            payload["start_branch"] = default
        gitlab.project(wanted.project).commits.create(payload)
    return {}


REPOSITORY_FILES = Kind(
    type_name="forgeline:gitlab:RepositoryFiles",
    inputs=RepositoryFiles,
    key=("project", "branch"),
    replace=frozenset({"mode"}),
    write_only=frozenset({"message", "executable"}),
    read=_read,
    create=_create,
    update=_update,
    # History is not for us to unmake: what was committed stays in the repository.
    delete=nothing_to_delete,
)
