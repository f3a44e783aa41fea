"""Brings services' boiler-plate up to date: one merge request a service, which the next run keeps up."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

from gitlab.exceptions import GitlabError
from gitlab.v4.objects import Project, ProjectMergeRequest

from infra.clients.gitlab import GitLab, absent, explain
from infra.core.blob import blob_id
from infra.core.document import InvalidDocumentError
from infra.core.error import ForgelineError
from infra.core.naming import MAIN
from infra.core.progress import Progress
from infra.programs.service import SEED_MESSAGE
from infra.provider.gitlab.tree import listed
from pipelines.boilerplate import LOCK, BoilerplateUpdate, Fate, FileUpdate, compare, digest, read_lock
from pipelines.catalogue import Service
from pipelines.line_merge import merge_lines

BRANCH: Final = "forgeline/skeleton"
"""The branch of the merge request; nobody else's."""

TITLE: Final = "Bring the boiler-plate up to date"
_HISTORY: Final = "Take what both changed as the skeleton has it"
"""The commit before: it keeps the skeleton's own text in the history, where the next update finds its base."""

SIDE_BY_SIDE: Final = 8
"""Services worked on at once."""

_TOLD: Final = {
    Fate.REPLACED: "changed by the skeleton, not by you",
    Fate.MERGED: "changed by both, in different places: merged",
    Fate.ADDED: "new in the skeleton",
    Fate.REMOVED: "no longer in the skeleton, and not changed by you: removed",
    Fate.CONFLICT: "changed by both in the same place: left as you have it, merge it by hand",
    Fate.KEPT: "no longer in the skeleton, but changed by you: left, it is yours now",
    Fate.TAKEN: "new in the skeleton, but you have another file there: left",
    Fate.DELETED: "deleted by you: it stays deleted",
}


class Outcome(StrEnum):
    """What an update did to a service."""

    NOTHING = "nothing to do"
    PLANNED = "would be updated"
    """Nothing was done, for only the plan was asked for."""
    OPENED = "merge request opened"
    UPDATED = "merge request updated"
    STANDS = "merge request is as it should be"
    LEFT = "left alone"
    """Somebody has to do something first: `reason` says what."""
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class ServiceUpdate:
    """A service after an update. `files` are those that change, and those that are left alone and told."""

    service: str
    outcome: Outcome
    files: tuple[FileUpdate, ...] = ()
    web_url: str = ""
    reason: str = ""

    @property
    def needs_people(self) -> bool:
        """Whether something is left for a person to merge or to decide."""
        return self.outcome is Outcome.LEFT or any(file.fate is Fate.CONFLICT for file in self.files)

    def as_json(self) -> dict[str, Any]:
        """A JSON object with what was done and what is left."""
        return {**vars(self), "outcome": str(self.outcome), "files": [file.as_json() for file in self.files]}


def update_services(
    gitlab: GitLab,
    services: Sequence[Service],
    render: Callable[[Service], Mapping[str, str]],
    progress: Progress,
    *,
    dry_run: bool = False,
) -> list[ServiceUpdate]:
    """What became of each service, in their order. One that fails is told, and the others go on.

    `render` gives what a service's repository would begin with today.

    Raises BadInputError, before anything is touched, where a skeleton can't be rendered.
    """
    skeletons = {service.name: _without_lock(render(service)) for service in services if service.seeded}

    def one(service: Service) -> ServiceUpdate:
        if not service.seeded:
            reason = "it came with a repository of its own"
            return ServiceUpdate(service=service.name, outcome=Outcome.NOTHING, reason=reason)
        progress.start(service.name, "comparing with the skeleton")
        try:
            done = _Updating(gitlab, service, skeletons[service.name]).run(dry_run=dry_run)
        except GitlabError as error:
            done = _failed(service, explain(error, service.project))
        except ForgelineError as error:
            done = _failed(service, error)
        told = f"{done.outcome}: {done.reason}" if done.reason else str(done.outcome)
        (progress.failed if done.outcome is Outcome.FAILED else progress.done)(service.name, told)
        return done

    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="update") as pool:
        return list(pool.map(one, services))


def _failed(service: Service, error: ForgelineError) -> ServiceUpdate:
    return ServiceUpdate(service=service.name, outcome=Outcome.FAILED, reason=error.what)


def _without_lock(files: Mapping[str, str]) -> dict[str, str]:
    return {path: text for path, text in files.items() if path != LOCK}


class _LeftError(Exception):
    """Why a service is left alone."""


class _Updating:
    """One service's update."""

    def __init__(self, gitlab: GitLab, service: Service, skeleton: dict[str, str]) -> None:
        self._service = service
        self._skeleton = skeleton
        self._project: Project = gitlab.project(service.project)

    def run(self, *, dry_run: bool) -> ServiceUpdate:
        files: tuple[FileUpdate, ...] = ()
        try:
            head, ours = self._main()
            update = self._compared(head, ours)
            files = update.files
            if not update.written:
                return self._done(Outcome.NOTHING, files)
            request = self._request()
            pushed = self._check_branch(head, _after(ours, update))
            if dry_run:
                return self._done(Outcome.PLANNED, files, request)
            if not pushed:
                self._push(head, ours, update)
            return self._told(update, request, pushed=pushed)
        except _LeftError as reason:
            return ServiceUpdate(service=self._service.name, outcome=Outcome.LEFT, files=files, reason=str(reason))

    def _done(
        self, outcome: Outcome, files: tuple[FileUpdate, ...], request: ProjectMergeRequest | None = None
    ) -> ServiceUpdate:
        url = str(request.web_url) if request else ""
        return ServiceUpdate(service=self._service.name, outcome=outcome, files=files, web_url=url)

    def _main(self) -> tuple[str, dict[str, str]]:
        """The newest commit of the main branch, and its files: path to blob id."""
        branch = absent(lambda: self._project.branches.get(MAIN))
        if branch is None:
            raise _LeftError(f"GitLab has no branch {MAIN} of {self._service.project}: run `forgeline up` first")
        head = str(branch.commit["id"])
        return head, listed(self._project, head)

    def _compared(self, head: str, ours: dict[str, str]) -> BoilerplateUpdate:
        base = self._locked(ours[LOCK]) if LOCK in ours else self._seeded(head)
        return compare(base=base, ours=ours, theirs=self._skeleton, read=self._blob, merge=merge_lines)

    def _blob(self, blob: str) -> bytes | None:
        found = absent(lambda: self._project.repository_raw_blob(blob))
        return bytes(found) if found is not None else None

    def _locked(self, blob: str) -> dict[str, str]:
        """What the lock in the repository says that the files were last brought to."""
        text = (self._blob(blob) or b"").decode("utf-8", errors="replace")
        try:
            return read_lock(text, LOCK).blobs
        except InvalidDocumentError as error:
            raise _LeftError(f"{error.where}: {error.what}; put back the {LOCK} of an earlier commit") from error

    def _seeded(self, head: str) -> dict[str, str]:
        """The files of the seed, for a service that was begun before there was a lock."""
        history = self._project.commits.list(ref_name=head, iterator=True, per_page=100)
        oldest = next(iter(deque(history, maxlen=1)), None)
        if oldest is None or oldest.title != SEED_MESSAGE:
            raise _LeftError(f"it was not begun from a skeleton: it has no {LOCK}, and no seed as its first commit")
        return listed(self._project, oldest.id)

    def _request(self) -> ProjectMergeRequest | None:
        """The open merge request, or None. One that the team closed for this same skeleton is an answer."""
        found = self._project.mergerequests.list(source_branch=BRANCH, order_by="updated_at", get_all=True)
        opened = next((one for one in found if one.state == "opened"), None)
        declined = next((one for one in found if one.state == "closed" and self._mark in (one.description or "")), None)
        if opened is None and declined is not None:
            raise _LeftError(f"the team closed the merge request of this skeleton: {declined.web_url}")
        return opened

    @property
    def _mark(self) -> str:
        return f"skeleton {digest(self._skeleton)}"

    def _check_branch(self, head: str, wanted: dict[str, str]) -> bool:
        """Whether the branch has exactly what is wanted. Commits of other people in it are not for us to undo."""
        if absent(lambda: self._project.branches.get(BRANCH)) is None:
            return False
        commits = cast(dict[str, Any], self._project.repository_compare(head, BRANCH))["commits"]
        others = [one["title"] for one in commits if one["title"] not in {TITLE, _HISTORY}]
        if others:
            raise _LeftError(f"somebody committed to {BRANCH} ({others[0]!r}): merge it, or delete the branch")
        return bool(commits) and listed(self._project, BRANCH) == wanted

    def _push(self, head: str, ours: dict[str, str], update: BoilerplateUpdate) -> None:
        """Makes the branch anew on top of main. A kill in between leaves a branch that the next run makes anew."""
        start: dict[str, Any] = {"start_sha": head, "force": True}
        merged = [file for file in update.written if file.fate is Fate.MERGED]
        if merged:
            history = [_written("update", file.path, self._skeleton[file.path].encode()) for file in merged]
            self._commit(f"{_HISTORY}\n\n[skip ci]", history, start)
            start = {}
        lock = _written("update" if LOCK in ours else "create", LOCK, update.lock.encode())
        self._commit(TITLE, [*map(_action, update.written), lock], start)

    def _commit(self, message: str, actions: list[dict[str, Any]], start: dict[str, Any]) -> None:
        self._project.commits.create({"branch": BRANCH, "commit_message": message, "actions": actions, **start})

    def _told(self, update: BoilerplateUpdate, request: ProjectMergeRequest | None, *, pushed: bool) -> ServiceUpdate:
        """Opens the merge request, or brings its description up to date."""
        description = self._description(update)
        if request is None:
            wanted = {"source_branch": BRANCH, "target_branch": MAIN, "title": TITLE, "description": description}
            made = self._project.mergerequests.create({**wanted, "remove_source_branch": True})
            return self._done(Outcome.OPENED, update.files, made)
        if request.description != description:
            self._project.mergerequests.update(request.iid, {"description": description})
            pushed = False
        return self._done(Outcome.STANDS if pushed else Outcome.UPDATED, update.files, request)

    def _description(self, update: BoilerplateUpdate) -> str:
        def lines(files: tuple[FileUpdate, ...]) -> str:
            return "\n".join(f"- `{file.path}`: {_TOLD[file.fate]}" for file in files)

        left = f"\n\n## Left alone\n\n{lines(update.left)}" if update.left else ""
        return (
            "The files that this service began with have a newer form. What your team changed is kept: please look "
            f"through it and merge it when the pipeline is green.\n\n## Changed\n\n{lines(update.written)}{left}\n\n"
            f"Made by `forgeline services update {self._service.name}`, {self._mark}. "
            "Closed without merging, it is not opened again for this skeleton.\n"
        )


def _after(ours: dict[str, str], update: BoilerplateUpdate) -> dict[str, str]:
    """The files of the branch as they should be: path to blob id."""
    wanted = {**ours, LOCK: blob_id(update.lock)}
    for file in update.written:
        if file.content is None:
            del wanted[file.path]
        else:
            wanted[file.path] = blob_id(file.content)
    return wanted


def _action(file: FileUpdate) -> dict[str, Any]:
    if file.content is None:
        return {"action": "delete", "file_path": file.path}
    action = _written("update" if file.existed else "create", file.path, file.content)
    if not file.existed and file.content.startswith(b"#!"):
        action["execute_filemode"] = True
    return action


def _written(action: str, path: str, content: bytes) -> dict[str, Any]:
    return {
        "action": action,
        "file_path": path,
        "content": base64.b64encode(content).decode(),
        "encoding": "base64",
    }
