"""Issues of a project. Milestones, links between issues and reactions are not part of the stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity, Role, project_role, reads_issues, sees_project, visible_issues
from infra.lab.gitlab.api.error import forbidden, message, not_found, parameter
from infra.lab.gitlab.api.issue_entity import show_issue
from infra.lab.gitlab.api.label import chosen_labels
from infra.lab.gitlab.api.listing import narrowed
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, anything, array, boolean, day, integer, moment, refused, string
from infra.lab.gitlab.api.quick_action import refuse_quick_actions
from infra.lab.gitlab.api.route import Answer, Entry, Request, delete, get, post, put
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.issue import Issue, IssueState, find_issue, next_issue_iid
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User

LONGEST_TITLE = 255
_ORDERS = ("created_at", "updated_at", "title", "due_date")
_METADATA = ("labels", "add_labels", "remove_labels", "assignee_id", "assignee_ids", "due_date")
_CHANGEABLE = ("title", "description", "discussion_locked", "confidential", "state_event", *_METADATA)


def _list(request: Request) -> Answer:
    project = request.project()
    statement = select(Issue).where(visible_issues(request.session, request.identity, project))
    statement = _filtered(request.params, statement)
    return paginate(request, statement, lambda each: show_issue(request, request.session, each))


def _filtered(given: Mapping[str, Any], statement: Select[Issue]) -> Select[Issue]:
    for name in ("author", "assignee"):
        column = getattr(Issue, f"{name}_id")
        if given.get(f"{name}_id") is not None:
            statement = statement.where(_is_person(column, str(given[f"{name}_id"])))
        if given.get(f"{name}_username"):
            statement = statement.where(column.in_(select(User.id).where(User.username.in_(given[f"{name}_username"]))))
    if given.get("confidential") is not None:
        statement = statement.where(Issue.confidential.is_(given["confidential"]))
    if given.get("labels"):
        statement = statement.where(*map(_has_label, given["labels"]))
    return narrowed(Issue, given, statement)


def _is_person(column: Any, wanted: str) -> ColumnElement[bool]:
    """An id, or GitLab's words for somebody and for nobody."""
    if wanted.casefold() in ("any", "none", "0"):
        somebody: ColumnElement[bool] = column.is_not(None)
        return somebody if wanted.casefold() == "any" else ~somebody
    if not (wanted.isascii() and wanted.isdecimal()):
        raise parameter("assignee_id should be an integer, 'None', or 'Any', however got " + wanted)
    same: ColumnElement[bool] = column == int(wanted)
    return same


def _has_label(name: str) -> ColumnElement[bool]:
    """Whether an issue has this label, or by GitLab's words any or none."""
    if name.casefold() in ("any", "none"):
        count = func.json_array_length(Issue.labels)
        return count > 0 if name.casefold() == "any" else count == 0
    labels = func.json_each(Issue.labels).table_valued("value")
    return select(labels.c.value).where(labels.c.value == name).exists()


def _show(request: Request) -> Answer:
    issue = seen_issue(request, request.project())
    if issue is None:
        raise not_found()
    return show_issue(request, request.session, issue)


def seen_issue(request: Request, project: Project) -> Issue | None:
    """The issue of `:issue_iid`, if whoever asks may see it."""
    visible = visible_issues(request.session, request.identity, project)
    statement = select(Issue).where(Issue.iid == request.number("issue_iid"), visible)
    return request.session.scalars(statement).first()


def _create(request: Request) -> Answer:
    project, session = request.project(), request.session
    if project.archived or not reads_issues(session, request.identity, project):
        raise forbidden()
    issue = Issue(iid=next_issue_iid(project), project=project, author=request.user, title="", labels=[])
    member = project_role(session, request.identity, project) >= Role.GUEST
    _apply(request, issue, request.params, metadata=member)
    return _kept(request, issue)


def _kept(request: Request, issue: Issue) -> Answer:
    request.session.add(issue)
    request.session.flush()
    request.session.refresh(issue)
    return show_issue(request, request.session, issue)


def _found(request: Request, thing: str = "") -> tuple[Issue, Role]:
    """The issue, and the role of whoever asks: GitLab looks for the issue first."""
    project = request.project()
    issue = find_issue(request.session, project.id, request.number("issue_iid", thing))
    if issue is None:
        raise not_found(thing)
    if project.archived:
        raise forbidden()
    return issue, project_role(request.session, request.identity, project)


def _update(request: Request) -> Answer:
    issue, role = _found(request)
    if request.params.keys().isdisjoint(_CHANGEABLE):
        raise parameter(f"{', '.join(_CHANGEABLE)} are missing, at least one parameter must be provided")
    manages = role >= Role.PLANNER
    if not reads_issues(request.session, request.identity, issue.project):
        raise forbidden()
    if not manages and not issue.is_of(request.user.id):
        raise forbidden()
    _apply(request, issue, request.params, metadata=manages)
    issue.updated_at = now()
    return _kept(request, issue)


def _apply(request: Request, issue: Issue, given: Mapping[str, Any], *, metadata: bool) -> None:
    """Without `metadata`, what only those who manage issues may set is passed over, as GitLab does."""
    wanted = {name: value for name, value in given.items() if metadata or name not in _METADATA}
    if "title" in wanted:
        issue.title = _title(wanted["title"])
    if "description" in wanted:
        refuse_quick_actions(wanted["description"])
        issue.description = wanted["description"]
    if wanted.get("issue_type") not in (None, "issue"):
        raise message(501, f"501 Not Implemented: the type {wanted['issue_type']} is not part of the embedded GitLab")
    for name in ("confidential", "discussion_locked"):
        if wanted.get(name) is not None:
            setattr(issue, name, wanted[name])
    if "due_date" in wanted:
        issue.due_date = wanted["due_date"]
    issue.labels = chosen_labels(issue.labels, wanted)
    if {"assignee_id", "assignee_ids"} & wanted.keys():
        issue.assignee_id = _assignee(request.session, issue.project, wanted)
    _move(issue, wanted.get("state_event"), request.user.id)


def _title(title: str | None) -> str:
    if not title or not title.strip():
        raise message(400, {"title": ["can't be blank"]})
    if len(title) > LONGEST_TITLE:
        raise message(400, {"title": [f"is too long (maximum is {LONGEST_TITLE} characters)"]})
    return title


def _assignee(session: Session, project: Project, wanted: Mapping[str, Any]) -> int | None:
    """The first who sees the project: GitLab's free edition keeps one, and passes over who does not."""
    ids = wanted["assignee_ids"] if "assignee_ids" in wanted else [wanted["assignee_id"]]
    for each in map(str, ids or ()):
        user = session.get(User, int(each)) if each.isascii() and each.isdecimal() else None
        if user is not None and sees_project(session, Identity(user=user), project):
            return user.id
    return None


def _move(issue: Issue, event: str | None, user_id: int) -> None:
    if event == "close" and issue.state == IssueState.OPENED:
        issue.state, issue.closed_at, issue.closed_by_id = IssueState.CLOSED, now(), user_id
    elif event == "reopen" and issue.state == IssueState.CLOSED and not issue.discussion_locked:
        issue.state, issue.closed_at, issue.closed_by_id = IssueState.OPENED, None, None


def _delete(request: Request) -> Answer:
    """Planners may, reporters, developers and maintainers may not (GitLab's config/authz/roles)."""
    issue, role = _found(request, "Issue")
    if role not in (Role.PLANNER, Role.OWNER):
        raise forbidden()
    request.session.delete(issue)
    return None


_PROJECT = "/projects/:id/issues"
_ONE = f"{_PROJECT}/:issue_iid"
_TYPES = ("issue", "incident", "test_case", "requirement", "task", "ticket")
_COMMON: tuple[Parameter, ...] = (
    string("description"),
    *(array(name) for name in ("labels", "add_labels", "remove_labels", "assignee_ids")),
    integer("assignee_id"),
    day("due_date"),
    boolean("confidential"),
    boolean("discussion_locked"),
    string("issue_type", values=_TYPES),
    *refused("milestone_id", "created_at", "weight", "epic_id", "epic_iid"),
)
_NOT_FILTERED = (
    *("with_labels_details", "closed_by_id", "due_date", "issue_type", "milestone", "milestone_id", "in", "not"),
    *("scope", "my_reaction_emoji", "weight", "epic_id", "health_status", "iteration_id", "iteration_title", "cursor"),
)

ROUTES = (
    get(
        _PROJECT,
        _list,
        string("state", values=(*IssueState, "all"), default="all"),
        string("order_by", values=_ORDERS, default="created_at"),
        string("sort", values=("asc", "desc"), default="desc"),
        *(array(name) for name in ("labels", "iids", "assignee_username")),
        array("author_username"),
        string("search"),
        integer("author_id"),
        anything("assignee_id"),
        boolean("confidential"),
        *(moment(f"{name}_{side}") for name in ("created", "updated") for side in ("after", "before")),
        *refused(*_NOT_FILTERED),
        entry=Entry.ANYONE,
    ),
    post(
        _PROJECT,
        _create,
        string("title", required=True),
        *_COMMON,
        *refused("iid", "merge_request_to_resolve_discussions_of", "discussion_to_resolve"),
    ),
    get(_ONE, _show, entry=Entry.ANYONE),
    put(
        _ONE,
        _update,
        string("title"),
        string("state_event", values=("reopen", "close")),
        *_COMMON,
        *refused("updated_at"),
    ),
    delete(_ONE, _delete),
)
