"""A commit made again on another branch, or taken back; and the merge requests that brought it."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.commit import show_commit
from infra.lab.gitlab.api.error import ApiError, not_found
from infra.lab.gitlab.api.merge_request_entity import show_merge_request_basic
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import boolean, string
from infra.lab.gitlab.api.ref_move import refusals_answered
from infra.lab.gitlab.api.route import Answer, Request, Transaction, get, post
from infra.lab.gitlab.commit import check_move, move_ref, signature_of
from infra.lab.gitlab.git_merge import ConflictError, picked, reverted, tree_of
from infra.lab.gitlab.git_object import Commit, Signature
from infra.lab.gitlab.push import BRANCH, RefChange
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.merge_request import MergeRequest

Work = Callable[[Request, Repository, Commit, str, Signature], str]


def _pick(request: Request, repository: Repository, commit: Commit, onto: str, committer: Signature) -> str:
    text = request.params.get("message") or f"{commit.message.rstrip()}\n\n(cherry picked from commit {commit.sha})"
    return picked(repository, commit, onto, committer, message=text)


def _revert(_request: Request, repository: Repository, commit: Commit, onto: str, committer: Signature) -> str:
    return reverted(repository, commit, onto, committer)


def _handler(work: Work, verb: str) -> Callable[[Request], Answer]:
    def handler(request: Request) -> Answer:
        with request.instance.store.read() as session:
            project = request.project(Role.DEVELOPER, session=session)
        repository = request.instance.repository(project.id)
        commit = repository.commit(request.segment("sha"))
        branch = repository.branch(request.params["branch"])
        if commit is None or branch is None:
            raise not_found("Commit" if commit is None else "Branch")
        with refusals_answered():
            check_move(request.instance, request.identity, project, BRANCH + branch.name, branch.sha, "f" * 40)
            try:
                made = work(request, repository, commit, branch.sha, signature_of(request.identity))
            except ConflictError as error:
                raise _impossible(verb, "conflict") from error
            if tree_of(repository, made) == tree_of(repository, branch.sha):
                raise _impossible(verb, "empty")
            if request.params.get("dry_run"):
                return {"dry_run": "success"}
            change = RefChange(ref=BRANCH + branch.name, before=branch.sha, after=made)
            move_ref(request.instance, request.identity, project, change)
        result = repository.commit(made)
        return show_commit(request.instance, project, result) if result else None

    return handler


def _impossible(verb: str, code: str) -> ApiError:
    text = f"Sorry, we cannot {verb} this commit automatically. This commit may already have been {verb}ed, or a more "
    return ApiError(400, {"message": f"{text}recent commit may have updated some of its content.", "error_code": code})


def _merge_requests(request: Request) -> Answer:
    project = request.code()
    repository = request.instance.repository(project.id)
    commit = repository.commit(request.segment("sha"))
    if commit is None:
        raise not_found("Commit")
    found = [
        each
        for each in request.session.scalars(select(MergeRequest).where(MergeRequest.project_id == project.id))
        if _brings(repository, each, commit.sha)
    ]
    return paginate(request, found, lambda each: show_merge_request_basic(request.instance, request.session, each))


def _brings(repository: Repository, merge_request: MergeRequest, sha: str) -> bool:
    if sha in (merge_request.merge_commit_sha, merge_request.squash_commit_sha):
        return True
    base = merge_request.base_sha
    return repository.is_ancestor(sha, merge_request.head_sha) and not (base and repository.is_ancestor(sha, base))


def _signature(request: Request) -> Answer:
    """No commit's signature is looked at."""
    project = request.code()
    known = request.instance.repository(project.id).commit(request.segment("sha")) is not None
    raise not_found("Signature" if known else "Commit")


_ONE = "/projects/:id/repository/commits/:sha"

ROUTES = (
    post(
        f"{_ONE}/cherry_pick",
        _handler(_pick, "cherry-pick"),
        string("branch", required=True),
        boolean("dry_run"),
        string("message"),
        transaction=Transaction.OWN,
    ),
    post(
        f"{_ONE}/revert",
        _handler(_revert, "revert"),
        string("branch", required=True),
        boolean("dry_run"),
        transaction=Transaction.OWN,
    ),
    get(f"{_ONE}/merge_requests", _merge_requests),
    get(f"{_ONE}/signature", _signature),
)
