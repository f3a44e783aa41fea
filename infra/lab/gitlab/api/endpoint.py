"""The API as an ASGI application: reads a request, finds its route, runs the handler in a thread, writes the answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import anyio
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.responses import Response as RawResponse
from starlette.types import Receive, Scope, Send

from infra.lab.gitlab.access import ANONYMOUS, Identity
from infra.lab.gitlab.api.authentication import authenticate, note_use
from infra.lab.gitlab.api.error import ApiError, forbidden, message, parameter, unauthorized
from infra.lab.gitlab.api.parameter import check, nest
from infra.lab.gitlab.api.route import Answer, Entry, Request, Response, Route, Router, Transaction, Upload
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.user import User

BASE = "/api/v4"
READERS, WRITERS = 4, 8
"""Threads for what only reads, and for the rest: reads go on while others wait for their turn to write."""
_LOG = logging.getLogger(__name__)


@dataclass
class _Body:
    given: dict[str, Any] = field(default_factory=dict)
    raw: bytes = b""
    form: Any = None


class Api:
    """Everything below /api."""

    def __init__(self, instance: Instance, routes: Sequence[Route]) -> None:
        self._instance = instance
        self._router = Router(routes)
        self._threads: dict[bool, anyio.CapacityLimiter] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        http = HttpRequest(scope, receive)
        # An encoded slash must reach the router as it is, so the decoded `scope["path"]` is no use.
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        try:
            response = await self._respond(http, path)
        except ApiError as error:
            response = _error_response(error)
        except Exception:  # noqa: BLE001 - the boundary: a bug in a handler is a 500 and a line in the log
            _LOG.exception("%s %s failed", http.method, path)
            response = JSONResponse({"message": "500 Internal Server Error"}, 500)
        await response(scope, receive, send)

    async def _respond(self, http: HttpRequest, path: str) -> RawResponse:
        route, segments = self._find(http.method, path)
        headers = {name.lower(): value for name, value in http.headers.items()}
        body = await _read(http, route)
        if not self._threads:
            self._threads = {True: anyio.CapacityLimiter(READERS), False: anyio.CapacityLimiter(WRITERS)}
        limiter = self._threads[route.transaction == Transaction.READ]
        try:
            return await anyio.to_thread.run_sync(
                self._run, route, path, segments, http.url.query, headers, body, limiter=limiter
            )
        finally:
            if body.form is not None:
                await body.form.close()

    def _find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        if path.startswith("/api/v3/"):
            raise message(410, "410 Gone")
        inside = path.removeprefix(BASE) if path.startswith(BASE + "/") else None
        route, segments, allowed = self._router.find(method, inside) if inside is not None else (None, {}, [])
        if route is None and allowed:
            # GitLab has more methods on some of these paths; the stand-in says which it has.
            text = f"{method} {path} is not part of the embedded GitLab"
            raise ApiError(501, {"message": f"501 Not Implemented: {text}"}, {"Allow": ", ".join(sorted(set(allowed)))})
        if route is None:
            raise message(501, f"501 Not Implemented: {method} {path} is not part of the embedded GitLab")
        return route, segments

    def _run(
        self,
        route: Route,
        path: str,
        segments: Mapping[str, str],
        query: str,
        headers: Mapping[str, str],
        body: _Body,
    ) -> RawResponse:
        given = {**nest(parse_qsl(query, keep_blank_values=True)), **body.given}
        # An idle runner asks all the time: nothing is opened for those who show themselves to the handler.
        unasked = route.entry == Entry.OPEN and route.transaction == Transaction.OWN
        with nullcontext() if unasked else self._instance.store.read() as session:
            identity = self._identify(session, route, headers, given)
            request = Request(
                route=route,
                path=path,
                query=query,
                segments=segments,
                params=check(route.parameters, given),
                headers=headers,
                body=body.raw,
                identity=identity,
                instance=self._instance,
                _session=None,
            )
            if route.transaction == Transaction.READ:
                request._session = session
                return _response(route, route.handler(request))
        if route.transaction == Transaction.OWN:
            return _response(route, route.handler(request))
        with self._instance.store.write() as session:
            request._session = session
            request.identity = _attach(session, identity)
            return _response(route, route.handler(request))

    def _identify(
        self, session: Session | None, route: Route, headers: Mapping[str, str], given: Mapping[str, Any]
    ) -> Identity:
        if route.entry == Entry.OPEN or session is None:
            return ANONYMOUS
        identity = authenticate(session, route, headers, given, self._instance.hooks)
        if identity.anonymous and route.entry != Entry.ANYONE:
            raise unauthorized()
        if route.entry == Entry.ADMIN and not identity.admin:
            raise forbidden()
        note_use(self._instance.store, identity)
        return identity


def _attach(session: Session, identity: Identity) -> Identity:
    """The identity with its user loaded in the writing session."""
    if identity.user is None:
        return identity
    user = session.get(User, identity.user.id)
    if user is None:
        raise unauthorized()
    return replace(identity, user=user)


async def _read(http: HttpRequest, route: Route) -> _Body:
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_form(http)
    raw = bytearray()
    async for chunk in http.stream():
        raw += chunk
        if len(raw) > route.body_limit:
            raise message(413, "413 Request Entity Too Large")
    if kind == "application/json":
        return _Body(given=_parse_json(bytes(raw)))
    if kind == "application/x-www-form-urlencoded":
        text = raw.decode("utf-8", "replace")
        return _Body(given=nest(parse_qsl(text, keep_blank_values=True, max_num_fields=10_000)))
    return _Body(raw=bytes(raw))


async def _read_form(http: HttpRequest) -> _Body:
    try:
        form = await http.form(max_files=10, max_fields=1000, max_part_size=Route.body_limit)
    except MultiPartException as error:
        raise parameter(error.message) from error
    pairs = [(name, _uploaded(value)) for name, value in form.multi_items()]
    return _Body(given=nest(pairs), form=form)


def _uploaded(value: UploadFile | str) -> Upload | str:
    if isinstance(value, str):
        return value
    return Upload(
        filename=value.filename or "",
        content_type=value.content_type or "application/octet-stream",
        file=value.file,
        size=value.size or 0,
    )


def _parse_json(raw: bytes) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise message(400, "400 Bad request - The request body is not valid JSON") from error
    return parsed if isinstance(parsed, dict) else {}


def _response(route: Route, answer: Answer) -> RawResponse:
    if isinstance(answer, RawResponse):
        return answer
    if answer is None:
        return RawResponse(status_code=204)
    if not isinstance(answer, Response):
        answer = Response(answer, status=201 if route.method == "POST" else 200)
    headers = dict(answer.headers)
    if answer.body is None:
        return RawResponse(status_code=answer.status, headers=headers)
    if isinstance(answer.body, bytes):
        return RawResponse(answer.body, answer.status, headers, media_type=answer.content_type)
    return JSONResponse(answer.body, answer.status, headers)


def _error_response(error: ApiError) -> RawResponse:
    return JSONResponse(error.body, error.status, error.headers)
