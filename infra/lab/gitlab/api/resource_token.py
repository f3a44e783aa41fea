"""Access tokens of projects and groups: each acts as a bot user of its own."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.access import ASSIGNABLE_ROLES, Role, group_role, project_role
from infra.lab.gitlab.api.access_token import (
    EXPIRY,
    FILTERS,
    NEW,
    SCOPES,
    expiry,
    filtered,
    issue,
    own_token,
    rotate,
    show_token,
)
from infra.lab.gitlab.api.error import bad_request, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import array, integer
from infra.lab.gitlab.api.route import Answer, Request, Response, Route, delete, get, post
from infra.lab.gitlab.bootstrap import create_user
from infra.lab.gitlab.store.member import Member
from infra.lab.gitlab.store.token import AccessToken, TokenKind

_PERSONAL_ONLY = ("sudo", "admin_mode", "read_user", "read_service_ping")
RESOURCE_SCOPES = tuple(scope for scope in SCOPES if scope not in _PERSONAL_ONLY)


def _resource(request: Request) -> tuple[TokenKind, int, Role, str]:
    """The kind, id, role of whoever asks, and name of the project or group."""
    if request.route.path.startswith("/projects/"):
        project = request.project(Role.MAINTAINER)
        role = project_role(request.session, request.identity, project)
        return TokenKind.PROJECT, project.id, role, project.path
    group = request.group(Role.OWNER)
    return TokenKind.GROUP, group.id, group_role(request.session, request.identity, group), group.path


def _resource_tokens(request: Request) -> list[AccessToken]:
    kind, resource_id, _, _ = _resource(request)
    column = AccessToken.project_id if kind == TokenKind.PROJECT else AccessToken.group_id
    statement = select(AccessToken).where(AccessToken.kind == kind, column == resource_id).order_by(AccessToken.id)
    return list(request.session.scalars(statement))


def _list_resource(request: Request) -> Answer:
    return paginate(request, filtered(request, _resource_tokens(request)), show_token)


def _resource_token(request: Request) -> AccessToken:
    wanted = request.number("token_id")
    for token in _resource_tokens(request):
        if token.id == wanted:
            return token
    raise not_found()


def _show_resource(request: Request) -> Answer:
    return show_token(_resource_token(request))


def _create_resource(request: Request) -> Answer:
    """Make a bot user, a member with the wanted role, and its token."""
    kind, resource_id, role, _ = _resource(request)
    given, session = request.params, request.session
    level = given["access_level"]
    if level > role:
        raise bad_request("Could not provision project access token: access level is above your own")
    name = f"{kind}_{resource_id}_bot_{secrets.token_hex(16)}"
    bot = create_user(session, username=name, name=given["name"], email=f"{name}@noreply.localhost", bot=True)
    bot.created_by_id = request.user.id
    project_id = resource_id if kind == TokenKind.PROJECT else None
    group_id = resource_id if kind == TokenKind.GROUP else None
    expires = expiry(given.get("expires_at"))
    session.add(
        Member(
            user_id=bot.id,
            project_id=project_id,
            group_id=group_id,
            access_level=level,
            expires_at=expires,
            created_by_id=request.user.id,
        )
    )
    token = AccessToken(
        kind=kind,
        user_id=bot.id,
        project_id=project_id,
        group_id=group_id,
        access_level=level,
        name=given["name"],
        description=given.get("description"),
        scopes=given["scopes"],
        expires_at=expires,
        created_by_id=request.user.id,
    )
    return issue(session, token)


def _revoke_resource(request: Request) -> Answer:
    """Revoke the token and take its bot's membership away; the bot stays as the author of what it did."""
    token = _resource_token(request)
    token.revoked = True
    for member in request.session.scalars(select(Member).where(Member.user_id == token.user_id)):
        request.session.delete(member)
    return None


def _rotate_resource(request: Request) -> Answer:
    return Response(_rotate_with_membership(request, _resource_token(request)))


def _rotate_own_resource(request: Request) -> Answer:
    token = own_token(request)
    kind = TokenKind.PROJECT if request.route.path.startswith("/projects/") else TokenKind.GROUP
    resource = request.project().id if kind == TokenKind.PROJECT else request.group().id
    if token.kind != kind or resource not in (token.project_id, token.group_id):
        raise message(405, "405 Method Not Allowed")
    return Response(_rotate_with_membership(request, token))


def _rotate_with_membership(request: Request, token: AccessToken) -> dict[str, Any]:
    shown = rotate(request, token)
    for member in request.session.scalars(select(Member).where(Member.user_id == token.user_id)):
        member.expires_at = shown["expires_at"]
    return shown


def _resource_routes(place: str) -> tuple[Route, ...]:
    path = f"{place}/access_tokens"
    level = integer("access_level", values=ASSIGNABLE_ROLES, default=Role.MAINTAINER)
    return (
        get(path, _list_resource, *FILTERS),
        post(path, _create_resource, *NEW, array("scopes", required=True, values=RESOURCE_SCOPES), level),
        get(f"{path}/:token_id", _show_resource),
        delete(f"{path}/:token_id", _revoke_resource),
        post(f"{path}/:token_id/rotate", _rotate_resource, EXPIRY),
        post(f"{path}/self/rotate", _rotate_own_resource, EXPIRY, scopes=("self_rotate",)),
    )


ROUTES = (
    *_resource_routes("/projects/:id"),
    *_resource_routes("/groups/:id"),
)
