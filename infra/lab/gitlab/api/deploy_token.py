"""Deploy tokens of projects and groups: for repositories and packages, not for the API."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import array, boolean, moment, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Route, delete, get, post
from infra.lab.gitlab.store.token import DEPLOY_PREFIX, DeployToken, digest_of, new_token

SCOPES = (
    "read_repository",
    "read_registry",
    "write_registry",
    "read_package_registry",
    "write_package_registry",
    "read_virtual_registry",
    "write_virtual_registry",
)


def show_deploy_token(token: DeployToken, secret: str | None = None) -> dict[str, Any]:
    """API_Entities_DeployToken; with the token itself when it was just made."""
    shown = {
        "id": token.id,
        "name": token.name,
        "username": token.username,
        "expires_at": f"{token.expires_at}T00:00:00.000Z" if token.expires_at else None,
        "scopes": token.scopes,
        "revoked": token.revoked,
        "expired": token.expired,
    }
    return shown if secret is None else {**shown, "token": secret}


def _place(request: Request) -> tuple[int | None, int | None]:
    if request.route.path.startswith("/projects/"):
        return request.project(Role.MAINTAINER).id, None
    return None, request.group(Role.MAINTAINER if request.route.method == "GET" else Role.OWNER).id


def _mine(request: Request) -> Select[DeployToken]:
    project_id, group_id = _place(request)
    condition = DeployToken.project_id == project_id if project_id else DeployToken.group_id == group_id
    return select(DeployToken).where(condition, DeployToken.revoked.is_(False)).order_by(DeployToken.id)


def _page(request: Request, statement: Select[DeployToken]) -> Answer:
    tokens = list(request.session.scalars(statement))
    if request.params.get("active") is not None:
        tokens = [token for token in tokens if token.active == request.params["active"]]
    return paginate(request, tokens, show_deploy_token)


def _list_all(request: Request) -> Answer:
    return _page(request, select(DeployToken).where(DeployToken.revoked.is_(False)).order_by(DeployToken.id))


def _list(request: Request) -> Answer:
    return _page(request, _mine(request))


def _found(request: Request) -> DeployToken:
    wanted = request.number("token_id", "Deploy Token")
    token = request.session.scalars(_mine(request).where(DeployToken.id == wanted)).first()
    if token is None:
        raise not_found("Deploy Token")
    return token


def _show(request: Request) -> Answer:
    return show_deploy_token(_found(request))


def _create(request: Request) -> Answer:
    (project_id, group_id), given, session = _place(request), request.params, request.session
    if not given["scopes"]:
        raise message(400, {"scopes": ["can't be blank"]})
    secret = new_token(DEPLOY_PREFIX)
    expires = given.get("expires_at")
    token = DeployToken(
        project_id=project_id,
        group_id=group_id,
        name=given["name"],
        username=given.get("username") or "",
        digest=digest_of(secret),
        scopes=given["scopes"],
        expires_at=expires.date().isoformat() if expires else None,
        creator_id=request.user.id,
    )
    session.add(token)
    session.flush()
    token.username = token.username or f"gitlab+deploy-token-{token.id}"
    return show_deploy_token(token, secret)


def _delete(request: Request) -> Answer:
    _found(request).revoked = True
    return None


def _routes(place: str) -> tuple[Route, ...]:
    path = f"{place}/deploy_tokens"
    return (
        get(path, _list, boolean("active")),
        post(
            path,
            _create,
            string("name", required=True),
            array("scopes", required=True, values=SCOPES),
            moment("expires_at"),
            string("username"),
        ),
        get(f"{path}/:token_id", _show),
        delete(f"{path}/:token_id", _delete),
    )


ROUTES = (
    get("/deploy_tokens", _list_all, boolean("active"), entry=Entry.ADMIN),
    *_routes("/projects/:id"),
    *_routes("/groups/:id"),
)
