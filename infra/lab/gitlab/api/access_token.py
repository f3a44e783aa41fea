"""Access tokens of people: personal and impersonation; and what tokens of projects and groups share with them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.api.error import bad_request, message, not_found, unauthorized
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import array, boolean, day, integer, string
from infra.lab.gitlab.api.route import Answer, Entry, Handler, Request, Response, delete, get, post
from infra.lab.gitlab.api.user import found as found_user
from infra.lab.gitlab.store.base import now, stamp
from infra.lab.gitlab.store.token import PERSONAL_PREFIX, AccessToken, TokenKind, digest_of, new_token

SCOPES = (
    "api",
    "read_api",
    "read_user",
    "create_runner",
    "manage_runner",
    "read_repository",
    "write_repository",
    "read_registry",
    "write_registry",
    "read_virtual_registry",
    "write_virtual_registry",
    "self_rotate",
    "k8s_proxy",
    "ai_features",
    "sudo",
    "admin_mode",
    "read_service_ping",
)
ANY_SCOPE = SCOPES
LONGEST_LIFE = timedelta(days=400)
DEFAULT_LIFE = timedelta(days=365)
ROTATED_LIFE = timedelta(days=7)


def show_token(token: AccessToken, secret: str | None = None) -> dict[str, Any]:
    """API_Entities_PersonalAccessToken or ResourceAccessToken; with the token itself when it was just made."""
    shown = {
        "id": token.id,
        "name": token.name,
        "revoked": token.revoked,
        "created_at": stamp(token.created_at),
        "description": token.description,
        "scopes": token.scopes,
        "user_id": token.user_id,
        "last_used_at": stamp(token.last_used_at),
        "active": token.active,
        "expires_at": token.expires_at,
    }
    if token.kind == TokenKind.IMPERSONATION:
        shown["impersonation"] = True
    if token.kind in (TokenKind.PROJECT, TokenKind.GROUP):
        shown["access_level"] = token.access_level
        shown["resource_type"] = token.kind
        shown["resource_id"] = token.project_id or token.group_id
    return shown if secret is None else {**shown, "token": secret}


def expiry(text: str | None, default: timedelta = DEFAULT_LIFE) -> str:
    """The day on which a new token ends, which may be today. 400 for one that has passed or is too far off."""
    if text is None:
        return (now().date() + default).isoformat()
    wanted = date.fromisoformat(text)
    if wanted < now().date():
        raise message(400, {"expires_at": ["must be in the future"]})
    if wanted > now().date() + LONGEST_LIFE:
        raise message(400, {"expires_at": [f"must be before {(now().date() + LONGEST_LIFE).isoformat()}"]})
    return text


def issue(session: Session, token: AccessToken) -> dict[str, Any]:
    """Give a token its secret and store it; how it is shown this once."""
    secret = new_token(PERSONAL_PREFIX)
    token.digest = digest_of(secret)
    session.add(token)
    session.flush()
    session.refresh(token)
    return show_token(token, secret)


# Personal tokens


def _create_for_user(kind: TokenKind) -> Handler:
    def handler(request: Request) -> Answer:
        user, given = found_user(request, "user_id"), request.params
        token = AccessToken(
            kind=kind,
            user_id=user.id,
            name=given["name"],
            description=given.get("description"),
            scopes=given["scopes"],
            expires_at=expiry(given.get("expires_at")),
            created_by_id=request.user.id,
        )
        return issue(request.session, token)

    return handler


def _create_own(request: Request) -> Answer:
    """GitLab lets people make only tokens for Kubernetes and for rotating themselves this way."""
    given = request.params
    token = AccessToken(
        kind=TokenKind.PERSONAL,
        user_id=request.user.id,
        name=given["name"],
        description=given.get("description"),
        scopes=given["scopes"],
        expires_at=expiry(given.get("expires_at"), timedelta(days=1)),
        created_by_id=request.user.id,
    )
    return issue(request.session, token)


def _list(request: Request) -> Answer:
    given = request.params
    statement = select(AccessToken).where(AccessToken.kind == TokenKind.PERSONAL).order_by(AccessToken.id)
    if not request.identity.admin:
        if given.get("user_id") not in (None, request.user.id):
            raise unauthorized()
        statement = statement.where(AccessToken.user_id == request.user.id)
    elif given.get("user_id") is not None:
        statement = statement.where(AccessToken.user_id == given["user_id"])
    return paginate(request, filtered(request, list(request.session.scalars(statement))), show_token)


def filtered(request: Request, tokens: list[AccessToken]) -> list[AccessToken]:
    """The tokens that the request's filters leave."""
    given = request.params
    if given.get("revoked") is not None:
        tokens = [token for token in tokens if token.revoked == given["revoked"]]
    if given.get("state"):
        tokens = [token for token in tokens if token.active == (given["state"] == "active")]
    if text := given.get("search"):
        tokens = [token for token in tokens if text.lower() in token.name.lower()]
    return tokens


def own_token(request: Request) -> AccessToken:
    """The token that the request itself shows. 400 for other credentials."""
    if request.identity.token is None:
        raise bad_request("This endpoint requires token type to be a personal access token")
    return request.session.get_one(AccessToken, request.identity.token.id)


def _found(request: Request) -> AccessToken:
    token = request.session.get(AccessToken, request.number("id"))
    if token is None or (token.user_id != request.user.id and not request.identity.admin):
        raise not_found() if request.identity.admin else unauthorized()
    return token


def _show_own(request: Request) -> Answer:
    return show_token(own_token(request))


def _show(request: Request) -> Answer:
    return show_token(_found(request))


def _revoke_own(request: Request) -> Answer:
    own_token(request).revoked = True
    return None


def _revoke(request: Request) -> Answer:
    _found(request).revoked = True
    return None


def rotate(request: Request, token: AccessToken) -> dict[str, Any]:
    """Revoke a token and make one like it; 400 for one that no longer works."""
    session = request.session
    if not token.active:
        raise bad_request("Token already revoked")
    expires = expiry(request.params.get("expires_at"), ROTATED_LIFE)
    token.revoked = True
    new = AccessToken(
        kind=token.kind,
        user_id=token.user_id,
        project_id=token.project_id,
        group_id=token.group_id,
        access_level=token.access_level,
        name=token.name,
        description=token.description,
        scopes=token.scopes,
        expires_at=expires,
        created_by_id=request.user.id,
    )
    return issue(session, new)


def _rotate_own(request: Request) -> Answer:
    return Response(rotate(request, own_token(request)))


def _rotate(request: Request) -> Answer:
    return Response(rotate(request, _found(request)))


# Impersonation tokens


def _list_impersonation(request: Request) -> Answer:
    user = found_user(request, "user_id")
    statement = select(AccessToken).where(AccessToken.user_id == user.id, AccessToken.kind == TokenKind.IMPERSONATION)
    return paginate(request, filtered(request, list(request.session.scalars(statement))), show_token)


def _impersonation(request: Request) -> AccessToken:
    token = request.session.get(AccessToken, request.number("token_id"))
    if token is None or token.user_id != found_user(request, "user_id").id or token.kind != TokenKind.IMPERSONATION:
        raise not_found("Impersonation Token")
    return token


def _show_impersonation(request: Request) -> Answer:
    return show_token(_impersonation(request))


def _revoke_impersonation(request: Request) -> Answer:
    _impersonation(request).revoked = True
    return None


FILTERS = (boolean("revoked"), string("state", values=("active", "inactive")), string("search"))
NEW = (string("name", required=True), string("description"), day("expires_at"))
EXPIRY = day("expires_at")
_SELF_SCOPES = ("k8s_proxy", "self_rotate")


ROUTES = (
    get("/personal_access_tokens", _list, integer("user_id"), *FILTERS),
    get("/personal_access_tokens/self", _show_own, scopes=ANY_SCOPE),
    delete("/personal_access_tokens/self", _revoke_own, scopes=ANY_SCOPE),
    post("/personal_access_tokens/self/rotate", _rotate_own, EXPIRY, scopes=("self_rotate",)),
    get("/personal_access_tokens/:id", _show),
    delete("/personal_access_tokens/:id", _revoke),
    post("/personal_access_tokens/:id/rotate", _rotate, EXPIRY),
    post("/user/personal_access_tokens", _create_own, *NEW, array("scopes", required=True, values=_SELF_SCOPES)),
    post(
        "/users/:user_id/personal_access_tokens",
        _create_for_user(TokenKind.PERSONAL),
        *NEW,
        array("scopes", required=True, values=SCOPES),
        entry=Entry.ADMIN,
    ),
    get("/users/:user_id/impersonation_tokens", _list_impersonation, *FILTERS, entry=Entry.ADMIN),
    post(
        "/users/:user_id/impersonation_tokens",
        _create_for_user(TokenKind.IMPERSONATION),
        *NEW,
        array("scopes", required=True, values=SCOPES),
        entry=Entry.ADMIN,
    ),
    get("/users/:user_id/impersonation_tokens/:token_id", _show_impersonation, entry=Entry.ADMIN),
    delete("/users/:user_id/impersonation_tokens/:token_id", _revoke_impersonation, entry=Entry.ADMIN),
)
