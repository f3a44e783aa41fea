"""Merging a merge request: now, when its pipeline succeeds, or after a rebase."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import conflict, forbidden, message, unauthorized
from infra.lab.gitlab.api.merge_request import found_merge_request
from infra.lab.gitlab.api.merge_request_entity import show_merge_request
from infra.lab.gitlab.api.parameter import boolean, string
from infra.lab.gitlab.api.route import Answer, Request, Response, Transaction, post, put
from infra.lab.gitlab.commit import NotAllowedError, RefusedError
from infra.lab.gitlab.merge import UNMERGEABLE, Mergeability, MergeOptions, may_merge, merge, mergeability, rebase
from infra.lab.gitlab.pipelines.merge_request import head_pipeline
from infra.lab.gitlab.store.merge_request import MergeRequest
from pipelines.language.model import Status


def _merge(request: Request) -> Answer:
    """The order of the checks is GitLab's: who, what rules say (405), what git says (422), the given head (409)."""
    given = request.params
    options = MergeOptions(
        message=given.get("merge_commit_message"),
        squash_message=given.get("squash_commit_message"),
        squash=given.get("squash"),
        remove_source_branch=given.get("should_remove_source_branch"),
    )
    with request.instance.store.read() as session:
        merge_request = found_merge_request(request, session=session)
        if not may_merge(session, request.identity, merge_request):
            raise unauthorized()
        waits = bool(given.get("auto_merge") or given.get("merge_when_pipeline_succeeds"))
        waits = _waits(session, merge_request) if waits else False
        repository = request.instance.repository(merge_request.project_id)
        found = mergeability(session, repository, merge_request, skip_ci=waits)
    if found in UNMERGEABLE:
        raise message(422, "Branch cannot be merged")
    if found is not Mergeability.MERGEABLE:
        raise message(405, "405 Method Not Allowed")
    if given.get("sha") and given["sha"] != merge_request.head_sha:
        raise conflict(f"SHA does not match HEAD of source branch: {merge_request.head_sha}")
    if waits:
        _wait(request, merge_request.id, options)
    else:
        try:
            merge(request.instance, request.identity, merge_request, options)
        except RefusedError as error:
            raise message(422, "Branch cannot be merged") from error
    with request.instance.store.read() as session:
        return show_merge_request(request, session, session.get_one(MergeRequest, merge_request.id))


def _waits(session: Session, merge_request: MergeRequest) -> bool:
    """Whether its pipeline is still to be waited for. 405 where there is none that could succeed."""
    pipeline = head_pipeline(session, merge_request)
    if pipeline is None or (pipeline.finished and pipeline.status != Status.SUCCESS):
        raise message(405, "405 Method Not Allowed")
    return not pipeline.finished


def _wait(request: Request, merge_request_id: int, options: MergeOptions) -> None:
    with request.instance.store.write() as session:
        current = session.get_one(MergeRequest, merge_request_id)
        current.auto_merge = True
        current.merge_parameters = asdict(options)
        current.merge_user_id = request.user.id
        current.merge_error = None


def _cancel(request: Request) -> Answer:
    merge_request = found_merge_request(request)
    own = request.user.id in (merge_request.author_id, merge_request.merge_user_id)
    if not own and not may_merge(request.session, request.identity, merge_request):
        raise unauthorized()
    if not merge_request.auto_merge:
        raise message(406, "Can't cancel the automatic merge")
    merge_request.auto_merge = False
    merge_request.merge_user_id = None
    return {"status": "success"}


def _rebase(request: Request) -> Answer:
    with request.instance.store.read() as session:
        merge_request = found_merge_request(request, request.project(Role.DEVELOPER, session=session), session=session)
    if not merge_request.open:
        raise forbidden("Cannot rebase merge request")
    try:
        problem = rebase(request.instance, request.identity, merge_request)
    except NotAllowedError as error:
        raise forbidden("Cannot push to source branch") from error
    with request.instance.store.write() as session:
        session.get_one(MergeRequest, merge_request.id).merge_error = problem
    return Response({"rebase_in_progress": True}, status=202)


_ONE = "/projects/:id/merge_requests/:merge_request_iid"

ROUTES = (
    put(
        f"{_ONE}/merge",
        _merge,
        string("merge_commit_message"),
        string("squash_commit_message"),
        boolean("should_remove_source_branch"),
        boolean("merge_when_pipeline_succeeds"),
        boolean("auto_merge"),
        string("sha"),
        boolean("squash"),
        transaction=Transaction.OWN,
    ),
    post(f"{_ONE}/cancel_merge_when_pipeline_succeeds", _cancel),
    put(f"{_ONE}/rebase", _rebase, boolean("skip_ci"), transaction=Transaction.OWN),
)
