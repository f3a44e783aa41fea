"""Commits made on the server: by the files, commits and tags endpoints. They pass the same gate as a push."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.git import NO_OBJECT, GitError
from infra.lab.gitlab.git_object import Change, Signature, valid_path, valid_ref_name
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.push import BRANCH, NO_FORCE_PUSH, RefChange, decide, settle
from infra.lab.gitlab.repository import Repository, StaleRefError
from infra.lab.gitlab.store.project import Project


class ActionKind(StrEnum):
    """What is done to a file."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    MOVE = "move"
    CHMOD = "chmod"


@dataclass(frozen=True, kw_only=True)
class FileAction:
    """One action on one file."""

    kind: ActionKind
    path: str
    previous: str | None = None
    content: bytes | None = None
    last_commit: str | None = None
    executable: bool | None = None


class RefusedError(Exception):
    """The commit cannot be made as asked; the text is GitLab's."""


class NotAllowedError(Exception):
    """Whoever asks may not move this ref."""


def write_commit(
    instance: Instance,
    identity: Identity,
    project: Project,
    *,
    branch: str,
    message: str,
    actions: Sequence[FileAction],
    author: Signature | None = None,
    start: str | None = None,
    force: bool = False,
) -> str:
    """Put a new commit on a branch and tell the subscribers; its hash.

    `start` is the revision to begin from where the branch is new (or moved there, with `force`).
    Raises RefusedError and NotAllowedError.
    """
    repository = instance.repository(project.id)
    before, parent = _start(repository, branch, start, force=force)
    check_move(instance, identity, project, BRANCH + branch, before, "f" * 40, forced=force and before != parent)
    changes = _changes(repository, parent, actions)
    committer = signature_of(identity)
    try:
        sha = repository.write_commit(
            parent,
            changes,
            message=message,
            author=author or committer,
            committer=committer,
            seconds=int(time.time()),
        )
    except GitError as error:
        raise RefusedError(f"The commit could not be made: {error.output.strip().splitlines()[-1:]}") from error
    move_ref(instance, identity, project, RefChange(ref=BRANCH + branch, before=before, after=sha))
    return sha


def signature_of(identity: Identity) -> Signature:
    """Who the user is, for git."""
    if identity.user is None:
        raise NotAllowedError("You are not allowed to push code to this project.")
    return Signature(name=identity.user.name, email=identity.user.profile.get("commit_email") or identity.user.email)


def check_move(
    instance: Instance,
    identity: Identity,
    project: Project,
    ref: str,
    before: str,
    after: str,
    *,
    forced: bool = False,
) -> None:
    """Raises NotAllowedError unless whoever asks may move this ref."""
    with instance.store.read() as session:
        stored = session.get_one(Project, project.id)
        change = RefChange(ref=ref, before=before, after=after)
        decision = decide(session, identity, stored, [change], by_git=False)
    if decision.refusal:
        raise NotAllowedError(decision.refusal)
    if forced and decision.fast_forward:
        raise NotAllowedError(NO_FORCE_PUSH)


def move_ref(instance: Instance, identity: Identity, project: Project, change: RefChange) -> None:
    """Move a ref that `check_move` let through, note it and tell the subscribers. Raises RefusedError when it moved."""
    try:
        instance.repository(project.id).move_ref(change.ref, change.after, change.before)
    except StaleRefError as error:
        raise RefusedError("Could not update the branch: it has changed in the meantime. Please try again.") from error
    settle(instance, project.id, [change], user_id=identity.user_id)


def _start(repository: Repository, branch: str, start: str | None, *, force: bool) -> tuple[str, str | None]:
    """What the branch points to now, and the commit to go on from."""
    if not valid_ref_name(branch):
        raise RefusedError("The branch name is not valid")
    refs = repository.refs()
    before = refs.get(BRANCH + branch, NO_OBJECT)
    if before != NO_OBJECT and (start is None or start == branch):
        return before, before
    if before != NO_OBJECT and not force:
        text = f"A branch called '{branch}' already exists. Switch to that branch in order to make changes"
        raise RefusedError(text)
    if start is not None:
        parent = repository.resolve(start)
        if parent is None:
            raise RefusedError(f"Cannot find start_branch '{start}'")
        return before, parent
    if any(ref.startswith(BRANCH) for ref in refs):
        raise RefusedError("You can only create or edit files when you are on a branch")
    return before, None


def _changes(repository: Repository, parent: str | None, actions: Sequence[FileAction]) -> list[Change]:
    """The actions as changes, each checked against the files as the ones before it leave them."""
    files = set(repository.list_files(parent)) if parent else set()
    changes: list[Change] = []
    for action in actions:
        path = action.path.strip("/")
        if not valid_path(path):
            raise RefusedError("invalid path: Path cannot include directory traversal")
        source = (action.previous or path).strip("/")
        if action.kind == ActionKind.CREATE:
            if path in files:
                raise RefusedError("A file with this name already exists")
            if any(file.startswith(path + "/") for file in files):
                raise RefusedError("A directory with this name already exists")
        elif source not in files:
            raise RefusedError("A file with this name doesn't exist")
        if action.kind == ActionKind.MOVE and path in files:
            raise RefusedError("A file with this name already exists")
        if action.last_commit and parent and action.kind != ActionKind.CREATE:
            _check_unchanged(repository, parent, source, action.last_commit)
        changes.append(_change(repository, parent, action, path, source))
        if action.kind in (ActionKind.DELETE, ActionKind.MOVE):
            files.discard(source)
        if action.kind != ActionKind.DELETE:
            files.add(path)
    return changes


def _change(repository: Repository, parent: str | None, action: FileAction, path: str, source: str) -> Change:
    match action.kind:
        case ActionKind.DELETE:
            return Change(path=path)
        case ActionKind.MOVE:
            return Change(path=path, previous=source, content=action.content, executable=action.executable)
        case ActionKind.CHMOD:
            content = repository.read_file(parent, path) if parent else None
            return Change(path=path, content=content or b"", executable=bool(action.executable))
        case _:
            return Change(path=path, content=action.content or b"", executable=action.executable)


def _check_unchanged(repository: Repository, parent: str, path: str, last_commit: str) -> None:
    newest = repository.last_commit(parent, path)
    if newest is None or not newest.sha.startswith(last_commit):
        text = "You are attempting to update a file that has changed since you started editing it."
        raise RefusedError(text)


def initial_commit(instance: Instance, identity: Identity, project: Project) -> None:
    """The README that a project is made with when that is asked for."""
    text = f"# {project.name}\n\n{project.description or ''}\n".rstrip("\n") + "\n"
    _first_commit(instance, identity, project, text, "Initial commit")


def begin_repository(instance: Instance, identity: Identity, project: Project) -> None:
    """The commit that GitLab makes when the first branch of an empty repository is made by the API."""
    _first_commit(instance, identity, project, "", "Add README.md")


def _first_commit(instance: Instance, identity: Identity, project: Project, text: str, message: str) -> None:
    action = FileAction(kind=ActionKind.CREATE, path="README.md", content=text.encode())
    try:
        write_commit(instance, identity, project, branch=project.default_branch, message=message, actions=[action])
    except NotAllowedError:
        # A developer may make a project in a group that guards its first branch: it stays empty, as in GitLab.
        return
