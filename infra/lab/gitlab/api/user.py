"""Users, and the user who asks."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from infra.lab.gitlab.api.avatar import Owner, avatar_url, changed_avatar
from infra.lab.gitlab.api.error import bad_request, conflict, forbidden, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, boolean, integer, refused, string, upload
from infra.lab.gitlab.api.route import (
    JSON_NULL,
    Answer,
    Entry,
    Handler,
    Request,
    Response,
    delete,
    get,
    post,
    put,
)
from infra.lab.gitlab.bootstrap import create_user
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.base import stamp
from infra.lab.gitlab.store.namespace import Namespace, find_namespace
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User, UserState, hash_password

USERNAME = re.compile(r"[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9_-])?")
PASSWORD_LENGTH = 8
_PROFILE = ("bio", "location", "linkedin", "twitter", "discord", "website_url", "github", "job_title", "pronouns")
_KEPT = (*_PROFILE, "organization", "public_email", "note", "commit_email")
_FLAGS = {"can_create_group": True, "private_profile": False}


def basic(instance: Instance, user: User) -> dict[str, Any]:
    """API_Entities_UserBasic."""
    return {
        "id": user.id,
        "username": user.username,
        "public_email": user.profile.get("public_email") or "",
        "name": user.name,
        "state": user.state,
        "locked": False,
        "avatar_url": avatar_url(instance, Owner.USER, user.id, user.profile),
        "web_url": instance.url(f"/{user.username}"),
    }


def show_user(instance: Instance, user: User) -> dict[str, Any]:
    """API_Entities_User: what everybody may know."""
    return {
        **basic(instance, user),
        "created_at": stamp(user.created_at),
        **{name: user.profile.get(name) or "" for name in (*_PROFILE, "organization")},
        "bot": user.bot,
        "work_information": user.profile.get("job_title") or None,
        "followers": 0,
        "following": 0,
        "is_followed": False,
        "local_time": None,
    }


def show_whole(session: Session, instance: Instance, user: User, *, to_admin: bool) -> dict[str, Any]:
    """API_Entities_UserPublic: what the user and administrators may know; more for administrators."""
    shown = {
        **show_user(instance, user),
        "last_sign_in_at": stamp(user.last_sign_in_at),
        "confirmed_at": stamp(user.created_at),
        "last_activity_on": user.last_activity_at.date().isoformat() if user.last_activity_at else None,
        "email": user.email,
        "theme_id": 3,
        "color_scheme_id": 1,
        "projects_limit": user.profile.get("projects_limit", 100_000),
        "current_sign_in_at": stamp(user.last_sign_in_at),
        "identities": [],
        "can_create_group": user.profile.get("can_create_group", True),
        "can_create_project": user.profile.get("projects_limit", 100_000) > 0,
        "two_factor_enabled": False,
        "external": user.external,
        "private_profile": user.profile.get("private_profile", False),
        "commit_email": user.profile.get("commit_email") or user.email,
        "preferred_language": "en",
    }
    if to_admin:
        namespace = session.scalars(select(Namespace.id).where(Namespace.owner_id == user.id)).first()
        creator = session.get(User, user.created_by_id) if user.created_by_id else None
        shown |= {
            "is_admin": user.admin,
            "note": user.profile.get("note") or None,
            "namespace_id": namespace,
            "created_by": basic(instance, creator) if creator else None,
        }
    return shown


def _current(request: Request) -> Answer:
    return show_whole(request.session, request.instance, request.user, to_admin=request.identity.admin)


def _list(request: Request) -> Answer:
    given = request.params
    statement = select(User).order_by(User.id.desc())
    if name := given.get("username"):
        statement = statement.where(User.username == name)
    if text := given.get("search"):
        by_name = or_(User.name.icontains(text, autoescape=True), User.username.icontains(text, autoescape=True))
        statement = statement.where(or_(by_name, User.email == text))
    if given.get("active"):
        statement = statement.where(User.state == UserState.ACTIVE)
    if given.get("blocked"):
        statement = statement.where(User.state.in_([UserState.BLOCKED, UserState.BANNED]))
    if given.get("humans") or given.get("without_project_bots"):
        statement = statement.where(User.bot.is_(False))
    if given.get("admins") and request.identity.admin:
        statement = statement.where(User.admin.is_(True))
    if given.get("external"):
        statement = statement.where(User.external.is_(True))
    return paginate(request, statement, lambda user: _seen(request, user))


def _seen(request: Request, user: User) -> dict[str, Any]:
    if request.identity.admin:
        return show_whole(request.session, request.instance, user, to_admin=True)
    return basic(request.instance, user)


def _show(request: Request) -> Answer:
    user = found(request)
    if request.identity.admin:
        return show_whole(request.session, request.instance, user, to_admin=True)
    return show_user(request.instance, user)


def found(request: Request, segment: str = "id") -> User:
    """The user of `:id`. 404 when there is none."""
    user = request.session.get(User, request.number(segment, "User"))
    if user is None:
        raise not_found("User")
    return user


def _create(request: Request) -> Answer:
    given = request.params
    password = given.get("password")
    if not password and not given.get("reset_password") and not given.get("force_random_password"):
        raise message(400, {"password": ["can't be blank"]})
    _check_name(given["username"])
    _check_password(password)
    session = request.session
    if session.scalars(select(User).where(User.email == given["email"])).first():
        raise conflict("Email has already been taken")
    taken = session.scalars(select(User).where(User.username == given["username"])).first()
    if taken or find_namespace(session, given["username"]):
        raise conflict("Username has already been taken")
    user = create_user(session, username=given["username"], name=given["name"], email=given["email"])
    user.created_by_id = request.user.id
    _apply(user, given)
    user.profile = {**user.profile, **changed_avatar(request, Owner.USER, user.id)}
    return show_whole(session, request.instance, user, to_admin=True)


def _update(request: Request) -> Answer:
    given, session, user = request.params, request.session, found(request)
    for column, value in ((User.email, given.get("email")), (User.username, given.get("username"))):
        other = session.scalars(select(User).where(column == value, User.id != user.id)).first() if value else None
        if other:
            raise conflict(f"{column.key.capitalize()} has already been taken")
    if name := given.get("username"):
        _rename(session, user, name)
    _check_password(given.get("password"))
    user.email = given.get("email") or user.email
    user.name = given.get("name") or user.name
    _apply(user, given)
    user.profile = {**user.profile, **changed_avatar(request, Owner.USER, user.id)}
    return show_whole(session, request.instance, user, to_admin=True)


def _rename(session: Session, user: User, name: str) -> None:
    _check_name(name)
    namespace = session.scalars(select(Namespace).where(Namespace.owner_id == user.id)).first()
    holder = find_namespace(session, name)
    if holder is not None and holder is not namespace:
        raise conflict("Username has already been taken")
    user.username = name
    if namespace is not None:
        namespace.path = namespace.full_path = name
        for project in session.scalars(select(Project).where(Project.namespace_id == namespace.id)):
            project.full_path = f"{name}/{project.path}"


def _check_name(name: str) -> None:
    if not USERNAME.fullmatch(name) or name.endswith((".git", ".atom")) or len(name) < 2 or len(name) > 255:
        raise message(400, {"username": ["can contain only letters, digits, '_', '-' and '.'"]})


def _check_password(password: str | None) -> None:
    if password and len(password) < PASSWORD_LENGTH:
        raise message(400, {"password": [f"is too short (minimum is {PASSWORD_LENGTH} characters)"]})


def _apply(user: User, given: dict[str, Any]) -> None:
    if password := given.get("password"):
        user.password_hash = hash_password(password)
    if given.get("admin") is not None:
        user.admin = given["admin"]
    if given.get("external") is not None:
        user.external = given["external"]
    kept = {name: given[name] for name in (*_KEPT, *_FLAGS, "projects_limit") if given.get(name) is not None}
    user.profile = {**user.profile, **kept}


def _delete(request: Request) -> Answer:
    user = found(request)
    if user.id == request.user.id:
        raise bad_request("You cannot delete yourself")
    session = request.session
    namespace = session.scalars(select(Namespace).where(Namespace.owner_id == user.id)).first()
    owns = namespace and session.scalars(select(Project.id).where(Project.namespace_id == namespace.id)).first()
    if owns and not request.params.get("hard_delete"):
        raise conflict("User cannot be removed while they own projects; delete those, or use hard_delete")
    session.delete(user)
    return None


def _change_state(target: UserState, allowed: tuple[UserState, ...]) -> Handler:
    def handler(request: Request) -> Answer:
        user = found(request)
        if target in (UserState.BLOCKED, UserState.BANNED) and user.id == request.user.id:
            raise forbidden("You cannot change your own state")
        if target is UserState.ACTIVE and user.state == UserState.ACTIVE and UserState.ACTIVE not in allowed:
            return Response(False, status=201)
        if user.state not in allowed:
            raise forbidden(f"A user who is {user.state} cannot become {target}")
        already = user.state == target
        user.state = target
        # GitLab says nothing when a blocked user is blocked again.
        return Response(JSON_NULL if already and target == UserState.BLOCKED else True, status=201)

    return handler


_FIELDS: tuple[Parameter, ...] = (
    string("password"),
    boolean("reset_password"),
    boolean("force_random_password"),
    boolean("skip_confirmation"),
    boolean("skip_reconfirmation"),
    boolean("admin"),
    boolean("external"),
    integer("projects_limit"),
    *(boolean(name) for name in _FLAGS),
    *(string(name) for name in _KEPT),
    upload("avatar"),
    *refused("provider", "extern_uid"),
)

ROUTES = (
    get("/user", _current, scopes=("read_user",)),
    get(
        "/users",
        _list,
        string("username"),
        string("search"),
        boolean("active"),
        boolean("blocked"),
        boolean("humans"),
        boolean("external"),
        boolean("admins"),
        boolean("without_project_bots"),
        scopes=("read_user",),
    ),
    post(
        "/users",
        _create,
        string("email", required=True),
        string("username", required=True),
        string("name", required=True),
        *_FIELDS,
        entry=Entry.ADMIN,
    ),
    get("/users/:id", _show, scopes=("read_user",)),
    put("/users/:id", _update, string("email"), string("username"), string("name"), *_FIELDS, entry=Entry.ADMIN),
    delete("/users/:id", _delete, boolean("hard_delete"), entry=Entry.ADMIN),
    *(
        post(f"/users/:id/{verb}", _change_state(target, allowed), entry=Entry.ADMIN)
        for verb, target, allowed in (
            ("block", UserState.BLOCKED, (UserState.ACTIVE, UserState.DEACTIVATED, UserState.BLOCKED)),
            ("unblock", UserState.ACTIVE, (UserState.BLOCKED,)),
            ("ban", UserState.BANNED, (UserState.ACTIVE,)),
            ("unban", UserState.ACTIVE, (UserState.BANNED,)),
            ("deactivate", UserState.DEACTIVATED, (UserState.ACTIVE, UserState.DEACTIVATED)),
            ("activate", UserState.ACTIVE, (UserState.ACTIVE, UserState.DEACTIVATED)),
        )
    ),
)
