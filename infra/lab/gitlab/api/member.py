"""Members of projects and groups, and groups that a project is shared with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy import or_, select

from infra.lab.gitlab import access
from infra.lab.gitlab.access import ASSIGNABLE_ROLES, Role, group_role, project_role
from infra.lab.gitlab.api.error import ApiError, conflict, forbidden, message, not_found, parameter
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import array, day, integer, string
from infra.lab.gitlab.api.route import Answer, Request, Route, delete, get, post, put
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.store.base import now, stamp
from infra.lab.gitlab.store.member import Member, Share
from infra.lab.gitlab.store.namespace import Namespace, NamespaceKind, find_namespace
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User

_MINIMUM = Role.MAINTAINER


class _Place:
    """The project or group whose members a request is about."""

    def __init__(self, request: Request, minimum: Role = Role.NONE) -> None:
        self.request = request
        self.project: Project | None = None
        self.group: Namespace | None = None
        if request.route.path.startswith("/projects/"):
            self.project = request.project(minimum)
            self.role = project_role(request.session, request.identity, self.project)
        else:
            self.group = request.group(Role.OWNER if minimum > Role.NONE else minimum)
            self.role = group_role(request.session, request.identity, self.group)

    def direct(self) -> list[Member]:
        return access.memberships(
            self.request.session, [self.group.id] if self.group else [], self.project.id if self.project else None
        )

    def everyone(self) -> list[Member]:
        """One membership a user: the highest, the nearest of equals."""
        namespace = self.project.namespace if self.project else self.group
        if namespace is None:
            raise RuntimeError("neither a project nor a group")
        groups = [each.id for each in namespace.lineage()]
        found = access.memberships(self.request.session, groups, self.project.id if self.project else None)
        best: dict[int, Member] = {}
        for member in found:
            held = best.get(member.user_id)
            if held is None or member.access_level > held.access_level:
                best[member.user_id] = member
        return [best[user_id] for user_id in sorted(best)]

    def member(self, user_id: int) -> Member:
        found = [member for member in self.direct() if member.user_id == user_id]
        if not found:
            raise not_found()
        return found[0]


def show_member(request: Request, member: Member) -> dict[str, Any]:
    """API_Entities_Member."""
    creator = request.session.get(User, member.created_by_id) if member.created_by_id else None
    return {
        **basic(request.instance, member.user),
        "access_level": member.access_level,
        "created_at": stamp(member.created_at),
        **({"created_by": basic(request.instance, creator)} if creator else {}),
        "expires_at": member.expires_at,
        "membership_state": "active",
    }


def _list(*, inherited: bool) -> Callable[[Request], Answer]:
    def handler(request: Request) -> Answer:
        place = _Place(request)
        members = place.everyone() if inherited else place.direct()
        if text := (request.params.get("query") or "").lower():
            members = [each for each in members if text in each.user.username.lower() or text in each.user.name.lower()]
        if wanted := request.params.get("user_ids"):
            members = [each for each in members if str(each.user_id) in wanted]
        if skipped := request.params.get("skip_users"):
            members = [each for each in members if str(each.user_id) not in skipped]
        return paginate(request, members, lambda member: show_member(request, member))

    return handler


def _show(*, inherited: bool) -> Callable[[Request], Answer]:
    def handler(request: Request) -> Answer:
        place, user_id = _Place(request), request.number("user_id")
        if not inherited:
            return show_member(request, place.member(user_id))
        found = [each for each in place.everyone() if each.user_id == user_id]
        if not found:
            raise not_found()
        return show_member(request, found[0])

    return handler


def _add(request: Request) -> Answer:
    place, given, session = _Place(request, _MINIMUM), request.params, request.session
    level = _level(place, given["access_level"])
    user_id, username = given.get("user_id"), given.get("username")
    if user_id is None and not username:
        raise parameter("user_id, username are missing, exactly one parameter must be provided")
    condition = or_(User.id == user_id, User.username == username) if username else User.id == user_id
    user = session.scalars(select(User).where(condition)).first()
    if user is None:
        raise not_found("User")
    if any(member.user_id == user.id for member in place.direct()):
        raise conflict("Member already exists")
    _check_inherited(place, user, level)
    member = Member(
        user_id=user.id,
        user=user,
        project_id=place.project.id if place.project else None,
        group_id=place.group.id if place.group else None,
        access_level=level,
        expires_at=_expiry(given.get("expires_at")),
        created_by_id=request.user.id,
    )
    session.add(member)
    session.flush()
    return show_member(request, member)


def _level(place: _Place, level: int) -> int:
    """A role that may be given: one of GitLab's, not above one's own."""
    if level not in ASSIGNABLE_ROLES:
        raise message(400, {"access_level": ["is not included in the list"]})
    if level > place.role:
        raise forbidden()
    return level


def _check_inherited(place: _Place, user: User, level: int) -> None:
    held = [each for each in place.everyone() if each.user_id == user.id and each.group_id != _id(place.group)]
    if held and held[0].access_level > level:
        group = place.request.session.get(Namespace, held[0].group_id)
        name = group.name if group else ""
        text = f"should be greater than or equal to {Role(held[0].access_level).name.title()} inherited membership from"
        raise message(400, {"access_level": [f"{text} group {name}"]})


def _id(group: Namespace | None) -> int | None:
    return group.id if group else None


def _expiry(day_text: str | None) -> str | None:
    if day_text is not None and date.fromisoformat(day_text) <= now().date():
        raise message(400, {"expires_at": ["cannot be a date in the past"]})
    return day_text


def _change(request: Request) -> Answer:
    place = _Place(request, _MINIMUM)
    member = place.member(request.number("user_id"))
    if member.access_level > place.role:
        raise forbidden()
    level = _level(place, request.params["access_level"])
    _keep_an_owner(place, member, level)
    member.access_level = level
    if "expires_at" in request.params:
        member.expires_at = _expiry(request.params["expires_at"])
    return show_member(request, member)


def _remove(request: Request) -> Answer:
    user_id = request.number("user_id")
    own = request.identity.user_id == user_id
    place = _Place(request, Role.NONE if own else _MINIMUM)
    member = place.member(user_id)
    if not own and member.access_level > place.role:
        raise forbidden()
    _keep_an_owner(place, member, Role.NONE)
    request.session.delete(member)
    return None


def _keep_an_owner(place: _Place, member: Member, level: int) -> None:
    """A group always has an owner."""
    if place.group is None or member.access_level < Role.OWNER or level >= Role.OWNER:
        return
    if not any(each.access_level == Role.OWNER and each.id != member.id for each in place.everyone()):
        raise ApiError(403, {"message": "403 Forbidden"})


def _share(request: Request) -> Answer:
    project, given, session = request.project(Role.OWNER), request.params, request.session
    group = find_namespace(session, given["group_id"], kind=NamespaceKind.GROUP)
    if group is None or not access.sees_group(session, request.identity, group):
        raise not_found("Group")
    if any(each.id == group.id for each in project.namespace.lineage()):
        raise conflict("Group cannot be shared with its own project")
    found = select(Share).where(Share.project_id == project.id, Share.shared_with_id == group.id)
    if session.scalars(found).first():
        raise conflict("Group has already been taken")
    share = Share(
        project_id=project.id,
        shared_with_id=group.id,
        access_level=given["group_access"],
        expires_at=_expiry(given.get("expires_at")),
    )
    session.add(share)
    session.flush()
    return {
        "id": share.id,
        "project_id": project.id,
        "group_id": group.id,
        "group_access": share.access_level,
        "expires_at": share.expires_at,
    }


def _unshare(request: Request) -> Answer:
    project = request.project(Role.OWNER)
    target = request.number("group_id")
    found = select(Share).where(Share.project_id == project.id, Share.shared_with_id == target)
    share = request.session.scalars(found).first()
    if share is None:
        raise not_found("Group Link")
    request.session.delete(share)
    return None


def _routes(place: str) -> tuple[Route, ...]:
    filters = (string("query"), array("user_ids"), array("skip_users"))
    return (
        get(f"{place}/members", _list(inherited=False), *filters),
        get(f"{place}/members/all", _list(inherited=True), *filters),
        get(f"{place}/members/:user_id", _show(inherited=False)),
        get(f"{place}/members/all/:user_id", _show(inherited=True)),
        post(
            f"{place}/members",
            _add,
            integer("access_level", required=True),
            integer("user_id"),
            string("username"),
            day("expires_at"),
        ),
        put(f"{place}/members/:user_id", _change, integer("access_level", required=True), day("expires_at")),
        delete(f"{place}/members/:user_id", _remove),
    )


ROUTES = (
    *_routes("/projects/:id"),
    *_routes("/groups/:id"),
    post(
        "/projects/:id/share",
        _share,
        integer("group_id", required=True),
        integer("group_access", required=True, values=ASSIGNABLE_ROLES),
        day("expires_at"),
    ),
    delete("/projects/:id/share/:group_id", _unshare),
)
