"""Signing in and out with a browser: cookie, session, form token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from infra.lab.gitlab.access import ANONYMOUS, Identity
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.token import digest_of
from infra.lab.gitlab.store.user import User, UserState, password_matches
from infra.lab.gitlab.store.web_session import WebSession
from infra.lab.gitlab.web.visit import Visit

COOKIE = "_forgeline_gitlab_session"
LIFE = timedelta(days=7)


def new_cookie() -> str:
    """A value that nobody can guess."""
    return secrets.token_urlsafe(32)


def set_cookie(response: Response, value: str) -> None:
    """Give the browser its cookie; scripts and other sites' requests don't get it."""
    response.set_cookie(COOKIE, value, max_age=int(LIFE.total_seconds()), httponly=True, samesite="lax", path="/")


def form_token(instance: Instance, cookie: str) -> str:
    """What a form must carry: only pages of this server, shown to this browser, know it."""
    return hmac.new(instance.key("form"), cookie.encode(), hashlib.sha256).hexdigest()


def form_token_matches(instance: Instance, cookie: str, given: str) -> bool:
    """Whether a form came from a page of this server."""
    return bool(cookie) and hmac.compare_digest(form_token(instance, cookie).encode(), given.encode())


def identify(session: Session, cookie: str) -> Identity:
    """Whose session the cookie is."""
    found = session.get(WebSession, digest_of(cookie)) if cookie else None
    if found is None or found.expires_at <= now() or found.user.state != UserState.ACTIVE:
        return ANONYMOUS
    return Identity(user=found.user, session_key=cookie)


def show(visit: Visit) -> Response:
    """The form."""
    if not visit.identity.anonymous:
        return RedirectResponse("/", 303)
    return visit.render("sign_in.html", problem="", back=_inside(visit.query.get("back", "")))


def enter(visit: Visit) -> Response:
    """Check name and password; a new session with a new cookie."""
    name, password = visit.form.get("login", ""), visit.form.get("password", "")
    back, door = _inside(visit.form.get("back", "")), visit.instance.door
    if door.closed(name):
        return _again(visit, 429, "Too many attempts. Try again in ten minutes.", back)
    user = visit.session.scalars(select(User).where(or_(User.username == name, User.email == name))).first()
    # The hash is worked out for unknown names too, so that the time does not tell which names exist.
    right = password_matches(password, user.password_hash if user else None)
    if user is None or not right or user.state != UserState.ACTIVE or user.bot:
        door.wrong(name)
        return _again(visit, 401, "Invalid login or password.", back)
    cookie = new_cookie()
    with visit.instance.store.write() as session:
        session.execute(delete(WebSession).where(WebSession.expires_at <= now()))
        session.add(WebSession(digest=digest_of(cookie), user_id=user.id, expires_at=now() + LIFE))
        session.get_one(User, user.id).last_sign_in_at = now()
    response = RedirectResponse(back or "/", 303)
    set_cookie(response, cookie)
    return response


def _again(visit: Visit, status: int, problem: str, back: str) -> Response:
    return visit.render("sign_in.html", problem=problem, back=back, status=status)


def leave(visit: Visit) -> Response:
    """End the session."""
    if visit.identity.session_key:
        with visit.instance.store.write() as session:
            session.execute(delete(WebSession).where(WebSession.digest == digest_of(visit.identity.session_key)))
    response = RedirectResponse("/users/sign_in", 303)
    response.delete_cookie(COOKIE, path="/")
    return response


def _inside(path: str) -> str:
    """A path of this server, or nothing: where to go after signing in must not be another site."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and "\\" not in path else ""
