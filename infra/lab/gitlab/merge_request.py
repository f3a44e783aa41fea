"""Merge requests as pushes see them: opened from a branch, moved on with it, closed with it, merged by git."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.instance import Instance, Push
from infra.lab.gitlab.pipelines.merge_request import follow_up
from infra.lab.gitlab.push import BRANCH
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.merge_request import (
    MergeRequest,
    MergeRequestState,
    next_merge_request_iid,
    open_merge_requests,
)
from infra.lab.gitlab.store.user import User


class MergeRequestError(Exception):
    """It cannot be made so. `status` and `messages` are GitLab's answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.messages = [text]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A merge request that is to be opened."""

    title: str
    source_branch: str
    target_branch: str
    description: str | None = None
    labels: tuple[str, ...] = ()
    squash: bool = False
    remove_source_branch: bool = False


def attach(instance: Instance) -> None:
    """What `app.PARTS` names; after the pipelines, so that a push's own pipeline comes first."""
    instance.hooks.on_push.append(on_push)


def open_merge_request(instance: Instance, identity: Identity, project_id: int, draft: Draft) -> int:
    """Opens it, makes its pipeline, and returns its id. Raises MergeRequestError."""
    repository = instance.repository(project_id)
    head = _tip(repository, draft.source_branch, "Source")
    base = repository.merge_base([head, _tip(repository, draft.target_branch, "Target")])
    if draft.source_branch == draft.target_branch:
        raise MergeRequestError(422, "You can't use same project/branch for source and target")
    with instance.store.write() as session:
        check_alone(session, project_id, draft.source_branch, draft.target_branch)
        merge_request = MergeRequest(
            iid=next_merge_request_iid(session, project_id),
            project_id=project_id,
            author_id=identity.user_id,
            title=draft.title,
            description=draft.description,
            source_branch=draft.source_branch,
            target_branch=draft.target_branch,
            head_sha=head,
            base_sha=base,
            labels=list(draft.labels),
            squash=draft.squash,
            remove_source_branch=draft.remove_source_branch,
        )
        session.add(merge_request)
        session.flush()
        session.refresh(merge_request)
    _keep_head(repository, merge_request)
    follow_up(instance, merge_request, identity)
    return merge_request.id


def check_alone(session: Session, project_id: int, source: str, target: str, *, but: int | None = None) -> None:
    """Raises MergeRequestError where another open one goes from and into the same branches."""
    for other in open_merge_requests(session, project_id, source=source, target=target):
        if other.id != but:
            text = f"Another open merge request already exists for this source branch: !{other.iid}"
            raise MergeRequestError(409, text)


def _tip(repository: Repository, branch: str, side: str) -> str:
    found = repository.branch(branch)
    if found is None:
        raise MergeRequestError(422, f'{side} branch "{branch}" does not exist')
    return found.sha


def reopen(session: Session, repository: Repository, merge_request: MergeRequest) -> None:
    """Opens a closed one again, at where its branch is now. Raises MergeRequestError."""
    check_alone(session, merge_request.project_id, merge_request.source_branch, merge_request.target_branch)
    merge_request.head_sha = _tip(repository, merge_request.source_branch, "Source")
    rebase_on(repository, merge_request, merge_request.target_branch)
    merge_request.state = MergeRequestState.OPENED
    merge_request.closed_at = merge_request.closed_by_id = None
    _keep_head(repository, merge_request)


def rebase_on(repository: Repository, merge_request: MergeRequest, target: str) -> None:
    """Notes what it goes into, and where the two part. Raises MergeRequestError."""
    merge_request.base_sha = repository.merge_base([merge_request.head_sha, _tip(repository, target, "Target")])
    merge_request.target_branch = target


def close(merge_request: MergeRequest, user_id: int | None) -> None:
    """Closes it without merging."""
    merge_request.state = MergeRequestState.CLOSED
    merge_request.auto_merge = False
    merge_request.closed_at = merge_request.updated_at = now()
    merge_request.closed_by_id = user_id


def mark_merged(merge_request: MergeRequest, user_id: int | None, sha: str) -> None:
    """Notes that the target branch has it since `sha`."""
    merge_request.state = MergeRequestState.MERGED
    merge_request.auto_merge = False
    merge_request.merge_error = None
    merge_request.merge_user_id = user_id or merge_request.merge_user_id
    merge_request.merge_commit_sha = merge_request.merge_commit_sha or sha
    merge_request.merged_at = merge_request.updated_at = now()


def on_push(instance: Instance, push: Push) -> None:
    """Brings the merge requests of a branch that moved up to date."""
    if not push.ref.startswith(BRANCH):
        return
    branch = push.ref.removeprefix(BRANCH)
    with instance.store.read() as session:
        into = open_merge_requests(session, push.project_id, target=branch)
        out_of = open_merge_requests(session, push.project_id, source=branch)
        user = session.get(User, push.user_id) if push.user_id is not None else None
    repository = instance.repository(push.project_id)
    if push.after != NO_OBJECT:
        _move_targets(instance, repository, into, push)
    _move_sources(instance, repository, out_of, push)
    if user is not None and push.after != NO_OBJECT and "ci.skip" not in push.options:
        with instance.store.read() as session:
            moved = [session.get_one(MergeRequest, each.id) for each in out_of]
        for each in moved:
            follow_up(instance, each, Identity(user=user))


def _move_targets(instance: Instance, repository: Repository, found: list[MergeRequest], push: Push) -> None:
    """Those whose commits have come into their target branch are merged; the others part from it elsewhere now."""
    merged = {each.id for each in found if _came_in(repository, each, push.after)}
    bases = {each.id: repository.merge_base([each.head_sha, push.after]) for each in found if each.id not in merged}
    if not found:
        return
    with instance.store.write() as session:
        for each in found:
            current = session.get(MergeRequest, each.id)
            if current is None or not current.open:
                continue
            if current.id in merged:
                mark_merged(current, push.user_id, push.after)
            else:
                current.base_sha = bases[current.id]


def _came_in(repository: Repository, merge_request: MergeRequest, tip: str) -> bool:
    if merge_request.merge_commit_sha and repository.is_ancestor(merge_request.merge_commit_sha, tip):
        return True
    has_commits = merge_request.base_sha != merge_request.head_sha
    return has_commits and repository.is_ancestor(merge_request.head_sha, tip)


def _move_sources(instance: Instance, repository: Repository, found: list[MergeRequest], push: Push) -> None:
    if not found:
        return
    bases = {each.id: _base(repository, each, push.after) for each in found}
    with instance.store.write() as session:
        for each in found:
            current = session.get(MergeRequest, each.id)
            if current is None or not current.open:
                continue
            if push.after == NO_OBJECT:
                close(current, push.user_id)
                continue
            current.head_sha, current.base_sha = push.after, bases[current.id]
            # Whoever asked for it has not seen these commits.
            current.auto_merge = False
            current.merge_error = None
            current.updated_at = now()
    if push.after != NO_OBJECT:
        for each in found:
            each.head_sha = push.after
            _keep_head(repository, each)


def _base(repository: Repository, merge_request: MergeRequest, head: str) -> str | None:
    target = repository.branch(merge_request.target_branch)
    if target is None or head == NO_OBJECT:
        return merge_request.base_sha
    return repository.merge_base([head, target.sha])


def _keep_head(repository: Repository, merge_request: MergeRequest) -> None:
    """Point the merge request's own ref to its head, so that it can be fetched when the branch is gone."""
    repository.point_ref(merge_request.ref_path, merge_request.head_sha)
