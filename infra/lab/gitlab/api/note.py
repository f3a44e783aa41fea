"""Comments on issues and merge requests. Threads of comments and comments on lines are not part of the stand-in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import false, select

from infra.lab.gitlab.access import Role, project_role, reads_code
from infra.lab.gitlab.api.error import bad_request, forbidden, not_found, parameter
from infra.lab.gitlab.api.issue import seen_issue
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import boolean, refused, string
from infra.lab.gitlab.api.quick_action import refuse_quick_actions
from infra.lab.gitlab.api.route import Answer, Request, Route, delete, get, post, put
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.store.base import now, stamp
from infra.lab.gitlab.store.issue import Issue
from infra.lab.gitlab.store.merge_request import find_merge_request
from infra.lab.gitlab.store.note import Note, Noteable

_FILTERS = ("all_notes", "only_comments", "only_activity")


def _noteable(request: Request) -> tuple[Noteable, Role]:
    """What is commented on, and the role of whoever asks. 404 also for what may not be read."""
    project, session = request.project(), request.session
    found: Noteable | None = None
    if "issue_iid" in request.segments:
        found = seen_issue(request, project)
    elif reads_code(session, request.identity, project):
        found = find_merge_request(session, project.id, request.number("merge_request_iid", "MergeRequest"))
    if found is None:
        raise not_found("Issue" if "issue_iid" in request.segments else "MergeRequest")
    return found, project_role(session, request.identity, project)


def _show(request: Request, noteable: Noteable, note: Note) -> dict[str, Any]:
    return {
        "id": note.id,
        "type": None,
        "body": note.body,
        "author": basic(request.instance, note.author) if note.author else None,
        "created_at": stamp(note.created_at),
        "updated_at": stamp(note.updated_at),
        "system": False,
        "noteable_id": noteable.id,
        "noteable_type": type(noteable).__name__,
        "project_id": noteable.project_id,
        "resolvable": False,
        "confidential": note.internal,
        "internal": note.internal,
        "noteable_iid": noteable.iid,
    }


def _list(request: Request) -> Answer:
    noteable, role = _noteable(request)
    given = request.params
    statement = select(Note).where(_of(noteable))
    if role < Role.PLANNER:
        statement = statement.where(Note.internal.is_(False))
    if given["activity_filter"] == "only_activity":
        # Notes that a system writes about what was changed: there are none here.
        statement = statement.where(false())
    columns = (getattr(Note, given["order_by"]), Note.id)
    statement = statement.order_by(*(each.asc() if given["sort"] == "asc" else each.desc() for each in columns))
    return paginate(request, statement, lambda note: _show(request, noteable, note))


def _of(noteable: Noteable) -> Any:
    return (Note.issue_id if isinstance(noteable, Issue) else Note.merge_request_id) == noteable.id


def _found(request: Request) -> tuple[Noteable, Note, Role]:
    noteable, role = _noteable(request)
    statement = select(Note).where(_of(noteable), Note.id == request.number("note_id"))
    note = request.session.scalars(statement).first()
    if note is None or (note.internal and role < Role.PLANNER):
        raise not_found()
    return noteable, note, role


def _show_one(request: Request) -> Answer:
    noteable, note, _ = _found(request)
    return _show(request, noteable, note)


def _create(request: Request) -> Answer:
    noteable, role = _noteable(request)
    given, locked = request.params, isinstance(noteable, Issue) and noteable.discussion_locked
    if noteable.project.archived or (locked and role == Role.NONE):
        raise forbidden()
    if not given["body"].strip():
        raise bad_request('Note {:note=>["can\'t be blank"]}')
    refuse_quick_actions(given["body"])
    note = Note(
        author=request.user,
        body=given["body"],
        internal=role >= Role.PLANNER and bool(given.get("internal") or given.get("confidential")),
    )
    if isinstance(noteable, Issue):
        note.issue_id = noteable.id
    else:
        note.merge_request_id = noteable.id
    noteable.updated_at = now()
    request.session.add(note)
    request.session.flush()
    return _show(request, noteable, note)


def _changeable(request: Request) -> tuple[Noteable, Note]:
    """A comment is its author's, and the maintainers'."""
    noteable, note, role = _found(request)
    if noteable.project.archived or (note.author_id != request.user.id and role < Role.MAINTAINER):
        raise forbidden()
    return noteable, note


def _update(request: Request) -> Answer:
    noteable, note = _changeable(request)
    body = request.params.get("body")
    if body is not None:
        if not body.strip():
            raise parameter("body is empty")
        refuse_quick_actions(body)
        note.body, note.updated_at = body, now()
    return _show(request, noteable, note)


def _delete(request: Request) -> Answer:
    _, note = _changeable(request)
    request.session.delete(note)
    return None


def _routes(place: str) -> tuple[Route, ...]:
    one = f"{place}/:note_id"
    return (
        get(
            place,
            _list,
            string("order_by", values=("created_at", "updated_at"), default="created_at"),
            string("sort", values=("asc", "desc"), default="desc"),
            string("activity_filter", values=_FILTERS, default="all_notes"),
        ),
        post(
            place,
            _create,
            string("body", required=True),
            boolean("internal"),
            boolean("confidential"),
            *refused("created_at", "merge_request_diff_head_sha"),
        ),
        get(one, _show_one),
        put(one, _update, string("body"), *refused("confidential")),
        delete(one, _delete),
    )


ROUTES = (
    *_routes("/projects/:id/issues/:issue_iid/notes"),
    *_routes("/projects/:id/merge_requests/:merge_request_iid/notes"),
)
