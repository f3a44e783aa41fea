"""Merge requests within a project. Forks, reviews and approvals are not part of the stand-in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Role, project_role
from infra.lab.gitlab.api.ci_entity import show_pipeline, show_pipeline_basic
from infra.lab.gitlab.api.commit import show_commit, show_diff
from infra.lab.gitlab.api.error import ApiError, bad_request, forbidden, message, not_found, unauthorized
from infra.lab.gitlab.api.label import chosen_labels
from infra.lab.gitlab.api.listing import narrowed
from infra.lab.gitlab.api.merge_request_entity import show_merge_request, show_merge_request_basic
from infra.lab.gitlab.api.page import paginate, paginate_window
from infra.lab.gitlab.api.parameter import Parameter, array, boolean, integer, moment, refused, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Response, Transaction, delete, get, post, put
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.git_merge import ConflictError
from infra.lab.gitlab.git_object import Commit
from infra.lab.gitlab.merge import merge_ref
from infra.lab.gitlab.merge_request import (
    Draft,
    MergeRequestError,
    check_alone,
    close,
    keep_head,
    locate,
    move,
    open_merge_request,
    reopen,
)
from infra.lab.gitlab.pipelines.creation import PipelineRefusedError
from infra.lab.gitlab.pipelines.merge_request import create_merge_request_pipeline, pipelines_of
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.merge_request import MergeRequest, MergeRequestState, find_merge_request
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User

_STATES = (*MergeRequestState, "locked", "all")
_ORDERS = ("created_at", "updated_at", "title", "merged_at")


def _list(request: Request) -> Answer:
    project = request.code()
    statement = _filtered(request, select(MergeRequest).where(MergeRequest.project_id == project.id))
    return paginate(request, statement, lambda each: show_merge_request_basic(request.instance, request.session, each))


def _filtered(request: Request, statement: Select[MergeRequest]) -> Select[MergeRequest]:
    given = request.params
    for name in ("source_branch", "target_branch", "author_id", "merge_user_id"):
        if given.get(name) is not None:
            statement = statement.where(getattr(MergeRequest, name) == given[name])
    if given.get("author_username"):
        author = select(User.id).where(User.username == given["author_username"])
        statement = statement.where(MergeRequest.author_id.in_(author))
    return narrowed(MergeRequest, given, statement)


def found_merge_request(
    request: Request, project: Project | None = None, *, session: Session | None = None
) -> MergeRequest:
    """The merge request of `:merge_request_iid` in a project whose code may be read; else 404 or 403."""
    session = session or request.session
    project = project or request.code(session=session)
    found = find_merge_request(session, project.id, request.number("merge_request_iid"))
    if found is None:
        raise not_found()
    return found


def _show(request: Request) -> Answer:
    return show_merge_request(request, request.session, found_merge_request(request))


def _refusal(error: MergeRequestError) -> ApiError:
    """GitLab's answer to a merge request that cannot be."""
    return message(error.status, error.messages)


def _create(request: Request) -> Answer:
    given = request.params
    with request.instance.store.read() as session:
        project = request.project(Role.DEVELOPER, session=session)
    if given.get("target_project_id") not in (None, project.id):
        raise message(501, "501 Not Implemented: merge requests between projects are not part of the embedded GitLab")
    if not given["title"].strip():
        raise message(400, {"title": ["can't be blank"]})
    setting = project.setting("squash_option")
    wanted = Draft(
        title=given["title"][:255],
        description=given.get("description"),
        source_branch=given["source_branch"],
        target_branch=given["target_branch"],
        labels=tuple(chosen_labels((), given)),
        squash=given["squash"] if given.get("squash") is not None else setting in ("always", "default_on"),
        remove_source_branch=bool(given.get("remove_source_branch")),
    )
    try:
        made = open_merge_request(request.instance, request.identity, project.id, wanted)
    except MergeRequestError as error:
        raise _refusal(error) from error
    with request.instance.store.read() as session:
        return show_merge_request(request, session, session.get_one(MergeRequest, made))


def _update(request: Request) -> Answer:
    """Git is asked before the write lock is taken, so that nobody waits for git."""
    given, instance = request.params, request.instance
    with instance.store.read() as session:
        merge_request = found_merge_request(request, session=session)
        role = project_role(session, request.identity, merge_request.project)
    if role < Role.DEVELOPER and merge_request.author_id != request.user.id:
        raise forbidden()
    if not given:
        raise bad_request("at least one parameter must be provided")
    if given.get("title") is not None and not given["title"].strip():
        raise message(400, {"title": ["can't be blank"]})
    repository = instance.repository(merge_request.project_id)
    target = given.get("target_branch") or merge_request.target_branch
    reopens = given.get("state_event") == "reopen" and merge_request.state == MergeRequestState.CLOSED
    moves = reopens or (merge_request.open and target != merge_request.target_branch)
    try:
        span = locate(repository, merge_request.source_branch, target) if moves else None
        with instance.store.write() as session:
            current = session.get_one(MergeRequest, merge_request.id)
            if span is not None:
                check_alone(session, current.project_id, current.source_branch, target, but=current.id)
                move(current, target, span)
            _apply(current, given, request.user.id)
    except MergeRequestError as error:
        raise _refusal(error) from error
    keep_head(repository, current)
    with instance.store.read() as session:
        return show_merge_request(request, session, session.get_one(MergeRequest, merge_request.id))


def _apply(merge_request: MergeRequest, given: dict[str, Any], user_id: int) -> None:
    merge_request.title = (given.get("title") or merge_request.title)[:255]
    if "description" in given:
        merge_request.description = given["description"]
    merge_request.labels = chosen_labels(merge_request.labels, given)
    for name in ("squash", "remove_source_branch"):
        if given.get(name) is not None:
            setattr(merge_request, name, given[name])
    event = given.get("state_event")
    if event == "close" and merge_request.open:
        close(merge_request, user_id)
    elif event == "reopen" and merge_request.state == MergeRequestState.CLOSED:
        reopen(merge_request)
    merge_request.updated_at = now()


def _delete(request: Request) -> Answer:
    request.session.delete(found_merge_request(request, request.project(Role.OWNER)))
    return None


def _commits(request: Request) -> Answer:
    merge_request = found_merge_request(request)
    project, repository = merge_request.project, request.instance.repository(merge_request.project_id)
    revisions = _span(merge_request)

    def fetch(skip: int, limit: int) -> list[Commit]:
        return list(repository.commits(revisions, options=[f"--skip={skip}", f"--max-count={limit}"]))

    return paginate_window(request, fetch, lambda each: show_commit(request.instance, project, each))


def _span(merge_request: MergeRequest) -> list[str]:
    """Its commits, for git."""
    left = [f"^{merge_request.base_sha}"] if merge_request.base_sha else []
    return [merge_request.head_sha, *left]


def _changes(request: Request) -> Answer:
    merge_request = found_merge_request(request)
    diffs = request.instance.repository(merge_request.project_id).diff(merge_request.base_sha, merge_request.head_sha)
    shown = show_merge_request(request, request.session, merge_request)
    return {**shown, "changes": [show_diff(each) for each in diffs], "overflow": False}


def _diffs(request: Request) -> Answer:
    merge_request = found_merge_request(request)
    repository = request.instance.repository(merge_request.project_id)
    return paginate(request, repository.diff(merge_request.base_sha, merge_request.head_sha), show_diff)


def _participants(request: Request) -> Answer:
    merge_request = found_merge_request(request)
    people = {each.id: each for each in (merge_request.author, merge_request.merge_user) if each is not None}
    return paginate(request, list(people.values()), lambda each: basic(request.instance, each))


def _pipelines(request: Request) -> Answer:
    merge_request = found_merge_request(request)
    commits = request.instance.repository(merge_request.project_id).commits(
        _span(merge_request), options=["--max-count=100"]
    )
    statement = pipelines_of(merge_request, [each.sha for each in commits])
    return paginate(request, statement, lambda each: show_pipeline_basic(request.instance, each))


def _create_pipeline(request: Request) -> Answer:
    with request.instance.store.read() as session:
        merge_request = found_merge_request(request, request.project(Role.DEVELOPER, session=session), session=session)
    try:
        made = create_merge_request_pipeline(request.instance, merge_request, request.identity)
    except PipelineRefusedError as error:
        raise message(400, {"base": error.messages}) from error
    with request.instance.store.read() as session:
        return show_pipeline(request.instance, session, session.get_one(Pipeline, made))


def _merge_ref(request: Request) -> Answer:
    with request.instance.store.read() as session:
        merge_request = found_merge_request(request, session=session)
    try:
        return {"commit_id": merge_ref(request.instance, request.identity, merge_request)}
    except ConflictError as error:
        raise message(400, "Merge request is not mergeable") from error


def _reset_approvals(request: Request) -> Answer:
    """Approvals are a paid feature, so there is none to take back; GitLab lets bots alone ask."""
    found_merge_request(request, request.project(Role.DEVELOPER))
    if not request.user.bot:
        raise unauthorized()
    return Response(202, status=202)


_PROJECT = "/projects/:id/merge_requests"
_ONE = f"{_PROJECT}/:merge_request_iid"
_COMMON: tuple[Parameter, ...] = (
    string("description"),
    array("labels"),
    array("add_labels"),
    array("remove_labels"),
    boolean("squash"),
    boolean("remove_source_branch"),
    *refused("assignee_id", "assignee_ids", "reviewer_ids", "milestone_id", "merge_after", "approvals_before_merge"),
)


ROUTES = (
    get(
        _PROJECT,
        _list,
        string("state", values=_STATES, default="all"),
        string("order_by", values=_ORDERS, default="created_at"),
        string("sort", values=("asc", "desc"), default="desc"),
        integer("author_id"),
        integer("merge_user_id"),
        *(string(name) for name in ("author_username", "source_branch", "target_branch", "search")),
        *(moment(f"{name}_{side}") for name in ("created", "updated") for side in ("after", "before")),
        array("iids"),
        entry=Entry.ANYONE,
    ),
    post(
        _PROJECT,
        _create,
        *(string(name, required=True) for name in ("title", "source_branch", "target_branch")),
        integer("target_project_id"),
        *_COMMON,
        transaction=Transaction.OWN,
    ),
    get(_ONE, _show, entry=Entry.ANYONE),
    put(
        _ONE,
        _update,
        string("title"),
        string("target_branch"),
        string("state_event", values=("close", "reopen")),
        *_COMMON,
        transaction=Transaction.OWN,
    ),
    delete(_ONE, _delete),
    get(f"{_ONE}/commits", _commits, entry=Entry.ANYONE),
    get(f"{_ONE}/changes", _changes, entry=Entry.ANYONE),
    get(f"{_ONE}/diffs", _diffs, entry=Entry.ANYONE),
    get(f"{_ONE}/participants", _participants, entry=Entry.ANYONE),
    get(f"{_ONE}/pipelines", _pipelines, entry=Entry.ANYONE),
    post(f"{_ONE}/pipelines", _create_pipeline, transaction=Transaction.OWN),
    get(f"{_ONE}/merge_ref", _merge_ref, transaction=Transaction.OWN, entry=Entry.ANYONE),
    put(f"{_ONE}/reset_approvals", _reset_approvals),
)
