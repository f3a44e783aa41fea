"""Requests to Nexus's REST API over httpx, with our errors and a request observer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from infra.clients import trust
from infra.clients.request import Observer
from infra.core.error import ServerError
from infra.core.secret import SecretValue

JSON = dict[str, Any]

TIMEOUT = 60.0


class UnauthorizedError(ServerError):
    """Nexus does not accept the user's password."""


class Transport:
    """Requests to one Nexus as one user. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        username: str,
        password: Callable[[], SecretValue],
        observe: Observer | None = None,
        keep_connections: bool = True,
        trusted: Path | None = None,
    ) -> None:
        """`password` is asked for once, at the first request that needs it.

        `trusted` is a file of the authorities that are trusted, if they are not the library's own.
        """
        self.url = url
        self.username = username
        hooks: dict[str, list[Callable[..., Any]]] = {} if observe is None else {"response": [_hook(observe)]}
        limits = httpx.Limits(max_keepalive_connections=None if keep_connections else 0)
        self._http = httpx.Client(
            base_url=url,
            timeout=TIMEOUT,
            trust_env=False,
            event_hooks=hooks,
            limits=limits,
            verify=trust.context(trusted),
        )
        self._http.auth = Basic(username, password)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def succeeds_for_anybody(self, path: str) -> bool:
        """Whether a path answers 200 without credentials, soon."""
        try:
            return self._http.get(path, auth=_Nobody(), timeout=5.0).status_code == 200
        except httpx.TransportError:
            return False

    def find(self, path: str) -> JSON | None:
        """The object at a path, or None where Nexus answers 404."""
        answer = self.request("GET", path, accept={404})
        return None if answer.status_code == 404 else dict(answer.json())

    def put(self, collection: str, name: str, body: JSON) -> None:
        """Update the object of this name in a collection, or create it there."""
        item = f"{collection}/{segment(name)}"
        answer = self.request("PUT", item, json=body, accept={404})
        if answer.status_code == 404:
            self.request("POST", collection, json=body)

    def remove(self, path: str) -> None:
        """Delete what is at a path. Nothing happens if there is nothing."""
        self.request("DELETE", path, accept={404})

    def request(
        self,
        verb: str,
        path: str,
        *,
        accept: set[int] | None = None,
        json: Any = None,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        follow_redirects: bool = False,
    ) -> httpx.Response:
        """The answer. Raises ServerError unless it is a success or a status of `accept`."""
        answer = self.send(
            verb,
            path,
            json=json,
            content=content,
            params=params,
            headers=headers,
            auth=auth,
            follow_redirects=follow_redirects,
        )
        if answer.is_success or answer.status_code in (accept or set()):
            return answer
        raise self._explain(verb, path, answer)

    def send(
        self,
        verb: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
        follow_redirects: bool = False,
    ) -> httpx.Response:
        """The answer, whatever its status. Raises ServerError if there is none."""
        try:
            return self._http.request(
                verb,
                path,
                json=json,
                content=content,
                params=params,
                headers=headers,
                auth=auth or httpx.USE_CLIENT_DEFAULT,
                follow_redirects=follow_redirects,
            )
        except httpx.TransportError as error:
            raise ServerError(
                f"does not answer ({type(error).__name__})",
                where=self.url,
                fix="`forgeline up` starts it, unless the profile says where it is",
            ) from None

    def _explain(self, verb: str, path: str, answer: httpx.Response) -> ServerError:
        """The error a person can act on, with what Nexus said about each field."""
        place = f"{self.url} {verb} {path}"
        if answer.status_code == 401:
            return UnauthorizedError(
                f"Nexus does not accept the password of {self.username}",
                where=place,
                fix="it was changed by hand: put it where `forgeline credentials` says that it is kept",
            )
        fix = f"{self.username} lacks a privilege for this" if answer.status_code == 403 else ""
        return ServerError(f"Nexus refused: {_said(answer)} (HTTP {answer.status_code})", where=place, fix=fix)


class Basic(httpx.Auth):
    """Basic authentication that learns the password when it is first needed."""

    def __init__(self, username: str, password: Callable[[], SecretValue]) -> None:
        self._username = username
        self._password = password
        self._auth: httpx.BasicAuth | None = None

    def auth_flow(self, request: httpx.Request) -> Any:
        if self._auth is None:
            self._auth = httpx.BasicAuth(self._username, self._password().reveal())
        yield from self._auth.auth_flow(request)


class _Nobody(httpx.Auth):
    """No credentials, for what must work without."""


def _said(answer: httpx.Response) -> str:
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        body = answer.json()
        if isinstance(body, list):
            return "; ".join(f"{item.get('id', '')}: {item.get('message', '')}" for item in body)
        if isinstance(body, dict) and body.get("message"):
            return str(body["message"])
    return answer.reason_phrase or "no reason given"


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def _hook(observe: Observer) -> Callable[[httpx.Response], None]:
    def seen(response: httpx.Response) -> None:
        observe(response.request.method, response.request.url.path, response.status_code)

    return seen
