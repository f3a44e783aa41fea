"""What an endpoint is: a route, and the request and response that its handler deals with.

A handler is a plain function `Request -> dict | list | None | Response`, run in a thread with a transaction of its own:
a dict or list becomes JSON with 200 (201 for POST), None an empty 204, and anything else is said with a Response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO
from urllib.parse import unquote

from sqlalchemy.orm import Session
from starlette.responses import Response as RawResponse

from infra.lab.gitlab import access
from infra.lab.gitlab.access import Identity, Role
from infra.lab.gitlab.api.error import forbidden, not_found, unauthorized
from infra.lab.gitlab.api.parameter import Parameter
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.namespace import Namespace, NamespaceKind, find_namespace
from infra.lab.gitlab.store.project import Project, find_project
from infra.lab.gitlab.store.user import User


class Entry(StrEnum):
    """Who gets in at all; the handler decides the rest."""

    ANYONE = "anyone"
    """Also without credentials. Wrong credentials are 401 all the same."""
    USER = "user"
    ADMIN = "admin"
    OPEN = "open"
    """Credentials aren't looked at: the handler has a protocol of its own (runners, jobs)."""


class Transaction(StrEnum):
    """Which session `request.session` is."""

    READ = "read"
    WRITE = "write"
    OWN = "own"
    """None: the handler opens short ones with `request.instance.store`, because it also runs git or the like."""


JSON_NULL = b"null"
"""The body of an answer that is JSON and says nothing."""


@dataclass(frozen=True)
class Response:
    """An answer that is not simply 200/201 with JSON. `body` None is empty; bytes go out as they are."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Answer = dict[str, Any] | list[Any] | None | Response | RawResponse
Handler = Callable[["Request"], Answer]


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file of a multipart form. `file` is at its start and is closed when the request ends."""

    filename: str
    content_type: str
    file: BinaryIO
    size: int


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method on one path below /api/v4. `:name` takes one segment, percent-decoded after the match."""

    method: str
    path: str
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    entry: Entry = Entry.USER
    transaction: Transaction = Transaction.READ
    scopes: frozenset[str] = frozenset()
    """Token scopes that open it besides `api` (and `read_api` for GET)."""
    job_token: bool = False
    """Whether a job token opens it."""
    body_limit: int = 32 * 1024 * 1024
    """Bytes of a body that is kept in memory."""


def get(
    path: str,
    handler: Handler,
    *parameters: Parameter,
    entry: Entry = Entry.USER,
    scopes: Sequence[str] = (),
    job_token: bool = False,
    transaction: Transaction = Transaction.READ,
) -> Route:
    """A reading endpoint; it also answers HEAD."""
    return Route(
        method="GET",
        path=path,
        handler=handler,
        parameters=parameters,
        entry=entry,
        scopes=frozenset(scopes),
        job_token=job_token,
        transaction=transaction,
    )


def _writing(method: str) -> Callable[..., Route]:
    def declare(
        path: str,
        handler: Handler,
        *parameters: Parameter,
        entry: Entry = Entry.USER,
        scopes: Sequence[str] = (),
        job_token: bool = False,
        transaction: Transaction = Transaction.WRITE,
        body_limit: int = Route.body_limit,
    ) -> Route:
        return Route(
            method=method,
            path=path,
            handler=handler,
            parameters=parameters,
            entry=entry,
            scopes=frozenset(scopes),
            job_token=job_token,
            transaction=transaction,
            body_limit=body_limit,
        )

    return declare


post = _writing("POST")
put = _writing("PUT")
patch = _writing("PATCH")
delete = _writing("DELETE")


@dataclass(kw_only=True)
class Request:
    """What a handler is given."""

    route: Route
    path: str
    """As the client wrote it, percent-encoded."""
    query: str
    segments: Mapping[str, str]
    """Of the path, decoded: `:id`, `:name`, …"""
    params: dict[str, Any]
    """Declared parameters that were given or have a default."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    """When it is neither JSON nor a form; else empty."""
    identity: Identity
    instance: Instance
    _session: Session | None

    @property
    def session(self) -> Session:
        """The request's transaction."""
        if self._session is None:
            raise RuntimeError(f"{self.route.method} {self.route.path} opens its own transactions")
        return self._session

    def use(self, session: Session) -> None:
        """Make `session` the request's: for handlers that open their own, before what reads `request.session`."""
        self._session = session

    @property
    def user(self) -> User:
        """The user who asks. 401 when nobody does."""
        if self.identity.user is None:
            raise unauthorized()
        return self.identity.user

    def segment(self, name: str) -> str:
        """A part of the path."""
        return self.segments[name]

    def number(self, name: str, thing: str = "") -> int:
        """A part of the path that is an id; 404 when it is not a number."""
        text = self.segments[name]
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise not_found(thing)
        return int(text)

    def project(self, minimum: Role = Role.NONE, *, session: Session | None = None, segment: str = "id") -> Project:
        """The project of `:id`: 404 when there is none or it may not be seen, 403 when the role is too low."""
        session = session or self.session
        key = self.segments[segment]
        # A string without "/" that is not a number never names a project.
        project = find_project(session, key) if key.isdecimal() or "/" in key else None
        if project is None or not access.sees_project(session, self.identity, project):
            raise not_found("Project")
        if self.identity.job is not None:
            self._check_job_token(session, project)
        self.require(access.project_role(session, self.identity, project), minimum)
        return project

    def group(self, minimum: Role = Role.NONE, *, session: Session | None = None, segment: str = "id") -> Namespace:
        """The group of `:id`: 404 when there is none or it may not be seen, 403 when the role is too low."""
        session = session or self.session
        group = find_namespace(session, self.segments[segment], kind=NamespaceKind.GROUP)
        if group is None or not access.sees_group(session, self.identity, group):
            raise not_found("Group")
        self.require(access.group_role(session, self.identity, group), minimum)
        return group

    def code(self, *, session: Session | None = None) -> Project:
        """The project of `:id`, whose repository may be read by whoever asks; else 403 (404 when unseen)."""
        session = session or self.session
        project = self.project(session=session)
        if not access.reads_code(session, self.identity, project):
            raise forbidden()
        return project

    def require(self, role: Role, minimum: Role) -> None:
        """403 (401 for nobody) unless `role` reaches `minimum`."""
        if role < minimum:
            raise unauthorized() if self.identity.anonymous else forbidden()

    def _check_job_token(self, session: Session, project: Project) -> None:
        for allowed in self.instance.hooks.job_token_access:
            if not allowed(session, self.identity, project.id):
                raise forbidden("Authentication by CI/CD job token not allowed from this project")


class Router:
    """Finds the route of a method and path."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._exact: dict[int, list[tuple[tuple[str, ...], dict[str, Route]]]] = {}
        shapes: dict[tuple[str, ...], dict[str, Route]] = {}
        for route in routes:
            parts = tuple(route.path.strip("/").split("/"))
            shape = tuple(":" if part.startswith(":") else part for part in parts)
            methods = shapes.get(shape)
            if methods is None:
                methods = shapes[shape] = {}
                self._exact.setdefault(len(parts), []).append((shape, methods))
            if route.method in methods:
                raise ValueError(f"{route.method} {route.path} is declared twice")
            methods[route.method] = route
        for table in self._exact.values():
            # A literal part wins over a placeholder, from the left.
            table.sort(key=lambda row: [part.startswith(":") for part in row[0]])

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], list[str]]:
        """The route, the path's decoded segments, and the methods that the path knows (none: no such path)."""
        parts = path.strip("/").split("/")
        allowed: list[str] = []
        for template, methods in self._exact.get(len(parts), []):
            if not _matches(template, parts):
                continue
            route = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
            if route is not None:
                pairs = zip(route.path.strip("/").split("/"), parts, strict=True)
                return route, {name[1:]: unquote(part) for name, part in pairs if name.startswith(":")}, []
            allowed += methods
        return None, {}, allowed


def _matches(template: Sequence[str], parts: Sequence[str]) -> bool:
    return all(
        (bool(part) if wanted.startswith(":") else wanted == part) for wanted, part in zip(template, parts, strict=True)
    )
