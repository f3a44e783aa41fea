"""Who is asking: personal, project and group access tokens, and job tokens where the endpoint takes them.

Sources: PRIVATE-TOKEN, `private_token`, `Authorization: Bearer`, `access_token`; JOB-TOKEN, `job_token`; Sudo, `sudo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import ANONYMOUS, Identity
from infra.lab.gitlab.api.error import forbidden, message, not_found, token_error, unauthorized
from infra.lab.gitlab.api.route import Route
from infra.lab.gitlab.instance import Hooks
from infra.lab.gitlab.store.base import Store, now
from infra.lab.gitlab.store.token import AccessToken, digest_of
from infra.lab.gitlab.store.user import User, UserState

_FRESH = timedelta(minutes=10)
"""A token's last use is noted at most this often."""


def authenticate(
    session: Session, route: Route, headers: Mapping[str, str], given: Mapping[str, Any], hooks: Hooks
) -> Identity:
    """The identity that the request shows. Raises ApiError 401 for a wrong one, 403 for a scope that is missing."""
    token = _access_token(headers, given)
    if token is not None:
        identity = by_access_token(session, token)
        if identity is None and route.job_token:
            identity = by_job_token(session, token, hooks)
        if identity is None:
            raise unauthorized()
        _check_scope(identity, route)
        return _sudo(session, identity, headers, given)
    job_token = headers.get("job-token") or _text(given.get("job_token"))
    if job_token and route.job_token:
        identity = by_job_token(session, job_token, hooks)
        if identity is None:
            raise unauthorized()
        return identity
    return ANONYMOUS


def by_access_token(session: Session, token: str) -> Identity | None:
    """Whose access token it is; None when it is none. Raises ApiError 401 when it was revoked or has expired."""
    found = session.scalars(select(AccessToken).where(AccessToken.digest == digest_of(token))).first()
    if found is None:
        return None
    if found.revoked:
        raise token_error(401, "invalid_token", "Token was revoked. You have to re-authorize from the user.")
    if found.expired:
        description = "Token is expired. You can either do re-authorization or token refresh."
        raise token_error(401, "invalid_token", description)
    if found.user.state != UserState.ACTIVE:
        raise message(403, f"403 Forbidden - Your account has been {found.user.state}.")
    return Identity(user=found.user, token=found, scopes=frozenset(found.scopes))


def by_job_token(session: Session, token: str, hooks: Hooks) -> Identity | None:
    """The identity of a running job, as the job's owner resolves it."""
    for resolve in hooks.job_token:
        identity = resolve(session, token)
        if identity is not None:
            return identity
    return None


def note_use(store: Store, identity: Identity) -> None:
    """Remember that the token was used, at most every ten minutes."""
    token = identity.token
    if token is None or (token.last_used_at is not None and now() - token.last_used_at < _FRESH):
        return
    with store.write() as session:
        stored = session.get(AccessToken, token.id)
        if stored is not None:
            stored.last_used_at = stored.user.last_activity_at = now()


def _access_token(headers: Mapping[str, str], given: Mapping[str, Any]) -> str | None:
    if token := headers.get("private-token"):
        return token
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        return value.strip()
    return _text(given.get("private_token")) or _text(given.get("access_token"))


def _check_scope(identity: Identity, route: Route) -> None:
    opening = {"api", *route.scopes}
    if route.method == "GET":
        opening.add("read_api")
    if identity.job is None and not identity.has_scope(*opening):
        description = "The request requires higher privileges than provided by the access token."
        raise token_error(403, "insufficient_scope", description, scope=" ".join(sorted(opening)))


def _sudo(session: Session, identity: Identity, headers: Mapping[str, str], given: Mapping[str, Any]) -> Identity:
    wanted = headers.get("sudo") or _text(given.get("sudo"))
    if not wanted:
        return identity
    if not identity.admin:
        raise forbidden("Must be admin to use sudo")
    if not identity.has_scope("sudo"):
        description = "The request requires higher privileges than provided by the access token."
        raise token_error(403, "insufficient_scope", description, scope="sudo")
    conditions = [User.username == wanted]
    if wanted.isdecimal():
        conditions.append(User.id == int(wanted))
    user = session.scalars(select(User).where(or_(*conditions))).first()
    if user is None:
        raise not_found(f"User with ID or username '{wanted}'")
    return replace(identity, user=user)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
