"""Access tokens and deploy tokens. Their values are shown once by GitLab and go straight into OpenBao."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from infra.clients.gitlab import absent
from infra.provider.connection import Connections
from infra.provider.gitlab.holder import Held, holder
from infra.provider.gitlab.level import NAME, NUMBER, Level
from infra.provider.gitlab.removal import delete_absent_ok
from infra.provider.kind import DIFFERS, Fields, Found, Kind, Names, Ref


class AccessToken(Held):
    """An access token of a group or project. `token` names where its value is kept."""

    name: str
    token: Ref
    scopes: Names
    access_level: Level = "maintainer"
    lifetime_days: int = 365
    """Days from its making to its end; GitLab allows 365."""


class DeployToken(Held):
    """A deploy token of a group or project. `token` names where its value is kept."""

    name: str
    token: Ref
    scopes: Names
    username: str | None = None


def _stored(connections: Connections, reference: str | None) -> str:
    if reference is None or connections.find_secret(reference) is None:
        return DIFFERS
    return reference


def _keep(connections: Connections, reference: str, made: Any, revoke: Any) -> None:
    """Puts the new token's value into OpenBao; a token that nobody has is revoked again."""
    try:
        connections.keep_secret(reference, made.token)
    except BaseException:
        revoke(made.id)
        raise


def _find_access(connections: Connections, wanted: AccessToken) -> Any:
    tokens = holder(connections, wanted).access_tokens
    for token in absent(lambda: tokens.list(iterator=True)) or ():
        if token.name == wanted.name and token.active and not token.revoked:
            return token
    return None


def _read_access(connections: Connections, wanted: AccessToken) -> Found | None:
    server = _find_access(connections, wanted)
    if server is None:
        return None
    days = None
    if server.expires_at:
        made = datetime.fromisoformat(server.created_at).date()
        days = (datetime.fromisoformat(server.expires_at).date() - made).days
    return Found(
        fields={
            "holder_type": wanted.holder_type,
            "holder": wanted.holder,
            "name": server.name,
            "token": _stored(connections, getattr(wanted, "token", None)),
            "scopes": sorted(server.scopes),
            "access_level": NAME.get(server.access_level, str(server.access_level)),
            "lifetime_days": days,
        },
        computed={"token_id": server.id, "expires_at": server.expires_at},
    )


def _create_access(connections: Connections, wanted: AccessToken) -> Fields:
    tokens = holder(connections, wanted).access_tokens
    end = (datetime.now(UTC) + timedelta(days=wanted.lifetime_days)).date().isoformat()
    made = tokens.create(
        {
            "name": wanted.name,
            "scopes": wanted.scopes,
            "access_level": NUMBER[wanted.access_level],
            "expires_at": end,
        }
    )
    _keep(connections, wanted.token, made, tokens.delete)
    return {"token_id": made.id, "expires_at": made.expires_at}


def _update_access(connections: Connections, _old: Fields, wanted: AccessToken) -> Fields:
    _delete_access(connections, wanted)
    return _create_access(connections, wanted)


def _delete_access(connections: Connections, wanted: AccessToken) -> None:
    server = _find_access(connections, wanted)
    if server is not None:
        delete_absent_ok(lambda: holder(connections, wanted).access_tokens.delete(server.id))


def _find_deploy(connections: Connections, wanted: DeployToken) -> Any:
    tokens = holder(connections, wanted).deploytokens
    for token in absent(lambda: tokens.list(iterator=True)) or ():
        if token.name == wanted.name and not getattr(token, "revoked", False) and not getattr(token, "expired", False):
            return token
    return None


def _read_deploy(connections: Connections, wanted: DeployToken) -> Found | None:
    server = _find_deploy(connections, wanted)
    if server is None:
        return None
    return Found(
        fields={
            "holder_type": wanted.holder_type,
            "holder": wanted.holder,
            "name": server.name,
            "token": _stored(connections, getattr(wanted, "token", None)),
            "scopes": sorted(server.scopes),
            "username": server.username,
        },
        computed={"token_id": server.id},
    )


def _create_deploy(connections: Connections, wanted: DeployToken) -> Fields:
    tokens = holder(connections, wanted).deploytokens
    values = wanted.model_dump(include={"name", "scopes", "username"}, exclude_none=True)
    made = tokens.create(values)
    _keep(connections, wanted.token, made, tokens.delete)
    return {"token_id": made.id}


def _update_deploy(connections: Connections, _old: Fields, wanted: DeployToken) -> Fields:
    _delete_deploy(connections, wanted)
    return _create_deploy(connections, wanted)


def _delete_deploy(connections: Connections, wanted: DeployToken) -> None:
    server = _find_deploy(connections, wanted)
    if server is not None:
        delete_absent_ok(lambda: holder(connections, wanted).deploytokens.delete(server.id))


ACCESS_TOKEN = Kind(
    type_name="forgeline:gitlab:AccessToken",
    inputs=AccessToken,
    key=("holder_type", "holder", "name"),
    computed={"token_id": int, "expires_at": str},
    read=_read_access,
    create=_create_access,
    update=_update_access,
    delete=_delete_access,
)
DEPLOY_TOKEN = Kind(
    type_name="forgeline:gitlab:DeployToken",
    inputs=DeployToken,
    key=("holder_type", "holder", "name"),
    computed={"token_id": int},
    read=_read_deploy,
    create=_create_deploy,
    update=_update_deploy,
    delete=_delete_deploy,
)
