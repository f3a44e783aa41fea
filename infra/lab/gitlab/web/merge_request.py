"""Merge requests: the project's list, and one with its pipelines and changes."""

from __future__ import annotations

from sqlalchemy import select
from starlette.responses import Response

from infra.lab.gitlab.access import reads_code
from infra.lab.gitlab.api.error import forbidden, not_found
from infra.lab.gitlab.merge import mergeability
from infra.lab.gitlab.pipelines.merge_request import head_pipeline, pipelines_of
from infra.lab.gitlab.store.merge_request import MergeRequest, find_merge_request
from infra.lab.gitlab.web.pipeline import REFRESH_SECONDS
from infra.lab.gitlab.web.visit import Page, Visit

LISTED = 100
COMMITS = 100
FILES = 100


def show_list(visit: Visit) -> Response:
    """The newest merge requests, the open ones first, each with its last pipeline."""
    _check_readable(visit)
    statement = select(MergeRequest).where(MergeRequest.project_id == visit.project.id)
    is_open = (MergeRequest.state == "opened").desc()
    found = list(visit.session.scalars(statement.order_by(is_open, MergeRequest.id.desc()).limit(LISTED)))
    pipelines = {each.id: head_pipeline(visit.session, each) for each in found}
    busy = any(each is not None and not each.finished for each in pipelines.values())
    return visit.render(
        "merge_requests.html",
        merge_requests=found,
        pipelines=pipelines,
        refresh=REFRESH_SECONDS if busy else None,
    )


def show(visit: Visit) -> Response:
    """One merge request."""
    _check_readable(visit)
    merge_request = find_merge_request(visit.session, visit.project.id, visit.number("Merge request"))
    if merge_request is None:
        raise not_found("Merge request")
    repository = visit.instance.repository(visit.project.id)
    left = [f"^{merge_request.base_sha}"] if merge_request.base_sha else []
    commits = list(repository.commits([merge_request.head_sha, *left], options=[f"--max-count={COMMITS}"]))
    pipelines = list(visit.session.scalars(pipelines_of(merge_request, [each.sha for each in commits])))
    return visit.render(
        "merge_request.html",
        merge_request=merge_request,
        mergeability=mergeability(visit.session, repository, merge_request),
        commits=commits,
        pipelines=pipelines,
        diffs=repository.diff(merge_request.base_sha, merge_request.head_sha)[:FILES],
        refresh=REFRESH_SECONDS if any(not each.finished for each in pipelines) else None,
    )


def _check_readable(visit: Visit) -> None:
    if not reads_code(visit.session, visit.identity, visit.project):
        raise forbidden()


PAGES = (
    Page(path="merge_requests", handler=show_list),
    Page(path="merge_requests/:number", handler=show),
)
