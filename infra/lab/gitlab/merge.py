"""The merge of a merge request: whether it can be, and the commits that it makes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity, Role, project_role
from infra.lab.gitlab.commit import NotAllowedError, RefusedError, check_move, move_ref, signature_of
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.git_merge import ConflictError, commit_tree, merged_tree, picked, tree_of
from infra.lab.gitlab.git_object import Signature
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.merge_request import mark_merged
from infra.lab.gitlab.pipelines.merge_request import head_pipeline
from infra.lab.gitlab.push import BRANCH, RefChange, allows
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.merge_request import MergeRequest
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.protection import Action, RefKind, protections_of
from pipelines.language.model import Status

_LOG = logging.getLogger(__name__)


class Mergeability(StrEnum):
    """`detailed_merge_status`: whether it can be merged, or the first thing that is in the way."""

    NOT_OPEN = "not_open"
    NO_COMMITS = "commits_status"
    DRAFT = "draft_status"
    CI_NEEDED = "ci_must_pass"
    CI_STILL_RUNNING = "ci_still_running"
    CONFLICT = "conflict"
    NEED_REBASE = "need_rebase"
    MERGEABLE = "mergeable"


UNMERGEABLE = (Mergeability.CONFLICT, Mergeability.NEED_REBASE)
"""What stands in git's way; the others are in the way of a rule."""
CI = (Mergeability.CI_NEEDED, Mergeability.CI_STILL_RUNNING)


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """What the one who merges wants. None: as the merge request or GitLab has it."""

    message: str | None = None
    squash_message: str | None = None
    squash: bool | None = None
    remove_source_branch: bool | None = None


def mergeability(
    session: Session, repository: Repository, merge_request: MergeRequest, *, skip_ci: bool = False
) -> Mergeability:
    """Whether it can be merged now. `skip_ci`: leave out whether its pipeline must have passed."""
    if not merge_request.open:
        return Mergeability.NOT_OPEN
    target = repository.branch(merge_request.target_branch)
    has_source = repository.branch(merge_request.source_branch) is not None
    if target is None or not has_source or merge_request.base_sha in (None, merge_request.head_sha):
        return Mergeability.NO_COMMITS
    by_rule = Mergeability.DRAFT if merge_request.draft else None
    if by_rule is None and not skip_ci:
        by_rule = _ci_obstacle(session, merge_request)
    return by_rule or _git_obstacle(repository, merge_request, target.sha) or Mergeability.MERGEABLE


def _git_obstacle(repository: Repository, merge_request: MergeRequest, target: str) -> Mergeability | None:
    if has_conflicts(repository, merge_request):
        return Mergeability.CONFLICT
    linear = merge_request.project.setting("merge_method") != "merge"
    return Mergeability.NEED_REBASE if linear and not repository.is_ancestor(target, merge_request.head_sha) else None


def _ci_obstacle(session: Session, merge_request: MergeRequest) -> Mergeability | None:
    project = merge_request.project
    if not project.setting("only_allow_merge_if_pipeline_succeeds"):
        return None
    pipeline = head_pipeline(session, merge_request)
    if pipeline is None:
        return Mergeability.CI_NEEDED
    if pipeline.status == Status.SKIPPED and project.setting("allow_merge_on_skipped_pipeline"):
        return None
    if pipeline.status == Status.SUCCESS:
        return None
    return Mergeability.CI_NEEDED if pipeline.finished else Mergeability.CI_STILL_RUNNING


def has_conflicts(repository: Repository, merge_request: MergeRequest) -> bool:
    """Whether both branches changed the same place."""
    target = repository.branch(merge_request.target_branch)
    if target is None or merge_request.base_sha is None:
        return False
    try:
        merged_tree(repository, merge_request.base_sha, target.sha, merge_request.head_sha)
    except ConflictError:
        return True
    return False


def may_merge(session: Session, identity: Identity, merge_request: MergeRequest) -> bool:
    """Whether whoever asks may merge into the target branch: one who may merge or push there."""
    project = merge_request.project
    role = project_role(session, identity, project)
    rules = protections_of(session, project.id, RefKind.BRANCH, merge_request.target_branch)
    if role < Role.DEVELOPER or not rules:
        return role >= Role.DEVELOPER
    return any(allows(rules, action, identity, role) for action in (Action.MERGE, Action.PUSH))


def merge(instance: Instance, identity: Identity, merge_request: MergeRequest, options: MergeOptions) -> None:
    """Merges one that `mergeability` and `may_merge` let through. Raises RefusedError when a branch has moved on."""
    repository = instance.repository(merge_request.project_id)
    target = repository.branch(merge_request.target_branch)
    if target is None:
        raise RefusedError("Branch cannot be merged")
    committer = signature_of(identity)
    try:
        squashed = _squashed(repository, merge_request, target.sha, options, committer)
        after = _merge_commit(repository, merge_request, target.sha, squashed, options, committer)
    except ConflictError as error:
        raise RefusedError("Branch cannot be merged") from error
    with instance.store.write() as session:
        current = session.get_one(MergeRequest, merge_request.id)
        if not current.open or current.head_sha != merge_request.head_sha:
            raise RefusedError("Branch cannot be merged")
        current.merge_commit_sha, current.squash_commit_sha = after, squashed
        current.merge_user_id = identity.user_id
    change = RefChange(ref=BRANCH + merge_request.target_branch, before=target.sha, after=after)
    try:
        move_ref(instance, identity, merge_request.project, change)
    except RefusedError:
        with instance.store.write() as session:
            session.get_one(MergeRequest, merge_request.id).merge_commit_sha = None
        raise
    with instance.store.write() as session:
        current = session.get_one(MergeRequest, merge_request.id)
        if current.open:
            mark_merged(current, identity.user_id, after)
    wanted = options.remove_source_branch
    if merge_request.remove_source_branch if wanted is None else wanted:
        _remove_source(instance, identity, repository, merge_request)


def _squashed(
    repository: Repository, merge_request: MergeRequest, target: str, options: MergeOptions, committer: Signature
) -> str | None:
    """One commit with all that the merge request changes, where that is wanted."""
    setting = merge_request.project.setting("squash_option")
    wanted = merge_request.squash if options.squash is None else options.squash
    if setting == "never" or not (wanted or setting == "always") or merge_request.base_sha is None:
        return None
    tree = merged_tree(repository, merge_request.base_sha, target, merge_request.head_sha)
    message = options.squash_message or merge_request.title
    author = merge_request.author
    who = Signature(name=author.name, email=author.email) if author else committer
    return commit_tree(repository, tree, [target], message, committer=committer, author=who)


def _merge_commit(
    repository: Repository,
    merge_request: MergeRequest,
    target: str,
    squashed: str | None,
    options: MergeOptions,
    committer: Signature,
) -> str:
    """What the target branch becomes: a merge commit, or with `merge_method` `ff` the commits themselves."""
    head = squashed or merge_request.head_sha
    if merge_request.project.setting("merge_method") == "ff":
        return head
    if squashed is not None:
        tree = tree_of(repository, squashed)
    else:
        tree = merged_tree(repository, merge_request.base_sha or target, target, head)
    message = options.message or message_of(merge_request)
    return commit_tree(repository, tree, [target, head], message, committer=committer)


def message_of(merge_request: MergeRequest) -> str:
    """GitLab's message of a merge commit."""
    head = f"Merge branch '{merge_request.source_branch}' into '{merge_request.target_branch}'"
    return f"{head}\n\n{merge_request.title}\n\nSee merge request {merge_request.reference}"


def _remove_source(instance: Instance, identity: Identity, repository: Repository, merge_request: MergeRequest) -> None:
    """Deletes the source branch, if it hasn't moved on and its rules let whoever merges."""
    source = repository.branch(merge_request.source_branch)
    if source is None or source.sha != merge_request.head_sha:
        return
    change = RefChange(ref=BRANCH + source.name, before=source.sha, after=NO_OBJECT)
    with instance.store.read() as session:
        project = session.get_one(Project, merge_request.project_id)
        if protections_of(session, project.id, RefKind.BRANCH, source.name):
            return
    try:
        check_move(instance, identity, project, change.ref, change.before, change.after)
        move_ref(instance, identity, project, change)
    except (NotAllowedError, RefusedError) as error:
        _LOG.info("%s was merged and its branch stays: %s", merge_request.reference, error)


def rebase(instance: Instance, identity: Identity, merge_request: MergeRequest) -> str | None:
    """Makes the source branch's commits again on top of the target branch; why not, or None.

    Raises NotAllowedError where the source branch may not be force-pushed.
    """
    repository = instance.repository(merge_request.project_id)
    target, source = repository.branch(merge_request.target_branch), repository.branch(merge_request.source_branch)
    if target is None or source is None or repository.is_ancestor(target.sha, source.sha):
        return None
    ref = BRANCH + source.name
    check_move(instance, identity, merge_request.project, ref, source.sha, "f" * 40, forced=True)
    committer = signature_of(identity)
    onto = target.sha
    commits = repository.commits([f"{target.sha}..{source.sha}"], options=["--reverse", "--no-merges", "--topo-order"])
    try:
        for commit in list(commits):
            onto = picked(repository, commit, onto, committer)
    except ConflictError:
        return "Rebase failed: Rebase locally, resolve all conflicts, then push the branch."
    try:
        change = RefChange(ref=ref, before=source.sha, after=onto)
        move_ref(instance, identity, merge_request.project, change)
    except RefusedError as error:
        return str(error)
    return None


def merge_ref(instance: Instance, identity: Identity, merge_request: MergeRequest) -> str:
    """A commit that the merge would make, under `refs/merge-requests/1/merge`. Raises ConflictError."""
    repository = instance.repository(merge_request.project_id)
    target = repository.branch(merge_request.target_branch)
    if target is None or merge_request.base_sha is None:
        raise ConflictError
    tree = merged_tree(repository, merge_request.base_sha, target.sha, merge_request.head_sha)
    sha = commit_tree(
        repository,
        tree,
        [target.sha, merge_request.head_sha],
        message_of(merge_request),
        committer=signature_of(identity),
    )
    repository.point_ref(f"refs/merge-requests/{merge_request.iid}/merge", sha)
    return sha
