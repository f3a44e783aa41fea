"""Labels of projects and groups. A project's list has those of the groups above it too."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, or_, select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import ApiError, bad_request, conflict, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, boolean, integer, refused, string
from infra.lab.gitlab.api.route import Answer, Request, Response, Route, delete, get, post, put
from infra.lab.gitlab.store.issue import Issue, IssueState
from infra.lab.gitlab.store.label import Label
from infra.lab.gitlab.store.merge_request import MergeRequest, MergeRequestState
from infra.lab.gitlab.store.namespace import Namespace, descendants
from infra.lab.gitlab.store.project import Project

_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


def _place(request: Request, minimum: Role = Role.NONE) -> Project | Namespace:
    return request.project(minimum) if request.route.path.startswith("/projects/") else request.group(minimum)


def _groups(place: Project | Namespace) -> list[int]:
    above = place.namespace.lineage() if isinstance(place, Project) else place.lineage()
    return [group.id for group in above]


def _reach(place: Project | Namespace, *, above: bool) -> Any:
    """A condition on Label: those of the place, and with `above` those of the groups above it."""
    if isinstance(place, Project):
        own = Label.project_id == place.id
        return or_(own, Label.group_id.in_(_groups(place))) if above else own
    return Label.group_id.in_(_groups(place)) if above else Label.group_id == place.id


def _show(request: Request, place: Project | Namespace, label: Label) -> dict[str, Any]:
    shown = {
        "id": label.id,
        "name": label.name,
        "description": label.description,
        "text_color": label.text_color,
        "color": label.color,
        "archived": False,
        "subscribed": request.identity.user_id in label.subscribers,
    }
    if request.params.get("with_counts"):
        shown |= {
            "open_issues_count": _count(request, place, label, Issue, IssueState.OPENED),
            "closed_issues_count": _count(request, place, label, Issue, IssueState.CLOSED),
            "open_merge_requests_count": _count(request, place, label, MergeRequest, MergeRequestState.OPENED),
        }
    if isinstance(place, Project):
        shown |= {"priority": label.priority, "is_project_label": label.project_id is not None}
    return shown


def _count(
    request: Request, place: Project | Namespace, label: Label, kind: type[Issue | MergeRequest], state: str
) -> int:
    """How many of a kind carry the label, in the project or anywhere below the group."""
    names = select(kind.labels).where(kind.state == state)
    if isinstance(place, Project):
        names = names.where(kind.project_id == place.id)
    else:
        below = [place.id, *(each.id for each in descendants(request.session, place))]
        names = names.where(kind.project_id.in_(select(Project.id).where(Project.namespace_id.in_(below))))
    return sum(label.name in labels for labels in request.session.scalars(names))


def chosen_labels(before: Sequence[str], given: Mapping[str, Any]) -> list[str]:
    """The names that a request's `labels`, `add_labels` and `remove_labels` make of those before."""
    chosen = given["labels"] if given.get("labels") is not None else before
    removed = given.get("remove_labels") or ()
    wanted = dict.fromkeys((*chosen, *(given.get("add_labels") or ())))
    return [each for each in wanted if each not in removed]


def _list(request: Request) -> Answer:
    place = _place(request)
    statement = select(Label).where(_reach(place, above=request.params["include_ancestor_groups"]))
    if text := request.params.get("search"):
        statement = statement.where(or_(Label.name.icontains(text), Label.description.icontains(text)))
    return paginate(request, statement.order_by(func.lower(Label.name)), lambda label: _show(request, place, label))


def _found(request: Request, place: Project | Namespace, key: str, *, above: bool = False) -> Label:
    """The label of this name, or of this id."""
    same = or_(Label.name == key, Label.id == int(key)) if key.isascii() and key.isdecimal() else Label.name == key
    label = request.session.scalars(select(Label).where(_reach(place, above=above), same)).first()
    if label is None:
        raise not_found("Label")
    return label


def _show_one(request: Request) -> Answer:
    place = _place(request)
    return _show(request, place, _found(request, place, request.segment("name"), above=True))


def _create(request: Request) -> Answer:
    place, given = _place(request, Role.PLANNER), request.params
    label = Label(color="#6699cc", name="", subscribers=[])
    if isinstance(place, Project):
        label.project_id = place.id
    else:
        label.group_id = place.id
    _apply(request, place, label, {**given, "new_name": given["name"]})
    request.session.add(label)
    request.session.flush()
    return _show(request, place, label)


def _apply(request: Request, place: Project | Namespace, label: Label, given: dict[str, Any]) -> None:
    name, color = given.get("new_name"), given.get("color")
    if name is not None and name != label.name:
        if not name.strip() or "," in name:
            raise message(400, {"title": ["can't be blank" if not name.strip() else "is invalid"]})
        taken = select(Label.id).where(_reach(place, above=False), Label.name == name)
        if request.session.scalars(taken).first() is not None:
            raise conflict("Label already exists")
        label.name = name
    if color is not None:
        if not _COLOR.fullmatch(color):
            raise message(400, {"color": ["must be a valid color code"]})
        label.color = color if len(color) == 7 else "#" + "".join(2 * digit for digit in color[1:])
    for field in ("description", "priority"):
        if field in given:
            setattr(label, field, given[field])


def _named(request: Request) -> tuple[Project | Namespace, Label]:
    """The label that the path names, or in the older form the parameters."""
    place = _place(request, Role.PLANNER)
    key = request.segments.get("name") or request.params.get("name") or str(request.params.get("label_id") or "")
    if not key:
        raise ApiError(400, {"error": "label_id, name are missing, exactly one parameter must be provided"})
    return place, _found(request, place, key)


def _update(request: Request) -> Answer:
    place, label = _named(request)
    if not {"new_name", "color", "description", "priority"} & request.params.keys():
        raise bad_request("new_name, color, description, priority are missing, at least one must be provided")
    _apply(request, place, label, request.params)
    return _show(request, place, label)


def _delete(request: Request) -> Answer:
    _, label = _named(request)
    request.session.delete(label)
    return None


def _subscription(*, wanted: bool) -> Callable[[Request], Answer]:
    def change(request: Request) -> Answer:
        place = _place(request)
        label, user = _found(request, place, request.segment("name"), above=True), request.user.id
        if (user in label.subscribers) is wanted:
            return Response(None, status=304)
        others = [each for each in label.subscribers if each != user]
        label.subscribers = [*others, user] if wanted else others
        return _show(request, place, label)

    return change


def _routes(place: str) -> tuple[Route, ...]:
    one = f"{place}/:name"
    changed: tuple[Parameter, ...] = (string("new_name"), string("color"), string("description"), integer("priority"))
    which = (string("name"), integer("label_id"))
    return (
        get(
            place,
            _list,
            boolean("with_counts", default=False),
            boolean("include_ancestor_groups", default=True),
            string("search"),
            *refused("include_descendant_groups", "only_group_labels", "archived"),
        ),
        post(
            place,
            _create,
            string("name", required=True),
            string("color", required=True),
            string("description"),
            integer("priority"),
        ),
        put(place, _update, *which, *changed),
        delete(place, _delete, *which),
        get(one, _show_one, boolean("include_ancestor_groups", default=True)),
        put(one, _update, *changed),
        delete(one, _delete),
        post(f"{one}/subscribe", _subscription(wanted=True)),
        post(f"{one}/unsubscribe", _subscription(wanted=False)),
    )


ROUTES = (*_routes("/projects/:id/labels"), *_routes("/groups/:id/labels"))
