"""What a page is, and what its function is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import jinja2
from sqlalchemy.orm import Session
from starlette.responses import HTMLResponse, Response

from infra.lab.gitlab.access import Identity, Role, project_role
from infra.lab.gitlab.api.error import forbidden, not_found, unauthorized
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.environment import Environment
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.project import Project

HERE = Path(__file__).parent
BANNER = "embedded GitLab stand-in of Forgeline — not GitLab"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

Numbered = TypeVar("Numbered", Pipeline, Job, Environment)
"""What a project has, with a number in the path of its page."""

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    auto_reload=False,
)
# What people wrote down as an address becomes a link only if it leads to a page: `javascript:` is one, too.
_TEMPLATES.tests["web"] = lambda address: urlsplit(address).scheme in ("http", "https")


@dataclass(kw_only=True)
class Visit:
    """One request of a page. `session` is a reading one; a function that changes something opens its own."""

    instance: Instance
    session: Session
    identity: Identity
    segments: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    csrf: str
    path: str
    chosen: Project | None = None

    @property
    def project(self) -> Project:
        """The project that the page is about."""
        if self.chosen is None:
            raise RuntimeError(f"{self.path} is not a page of a project")
        return self.chosen

    def role(self) -> Role:
        """The visitor's role in the project."""
        return project_role(self.session, self.identity, self.project)

    def require(self, minimum: Role) -> None:
        """403 (a page to sign in for nobody) unless the visitor's role reaches `minimum`."""
        if self.role() < minimum:
            raise unauthorized() if self.identity.anonymous else forbidden()

    def number(self, thing: str) -> int:
        """The number in the path. 404, with the thing's name, for what is none."""
        text = self.segments["number"]
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise not_found(thing)
        return int(text)

    def find(self, kind: type[Numbered], thing: str, session: Session | None = None) -> Numbered:
        """The project's one with the number in the path, in `session` (else the visit's own). 404 when it has none."""
        found = (session or self.session).get(kind, self.number(thing))
        if found is None or found.project_id != self.project.id:
            raise not_found(thing)
        return found

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page from a template, which also knows the visit's user, project and form token.

        With `refresh` (seconds) the page keeps itself up to date (`static/live.js`).
        """
        text = _TEMPLATES.get_template(template).render(
            {
                "banner": BANNER,
                "csrf": self.csrf,
                "user": self.identity.user,
                "project": self.chosen,
                "path": self.path,
                "status": status,
                "refresh": None,
                **values,
            }
        )
        return HTMLResponse(text, status, HEADERS)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page. `path` has `:name` for one segment, and `*name` at its end for all that is left."""

    path: str
    handler: Callable[[Visit], Response]
    method: str = "GET"

    def match(self, parts: list[str]) -> dict[str, str] | None:
        """The named segments of a decoded path that is this page's."""
        wanted = self.path.split("/")
        found: dict[str, str] = {}
        for index, part in enumerate(wanted):
            if part.startswith("*"):
                found[part[1:]] = "/".join(parts[index:])
                return found if parts[index:] else None
            if index >= len(parts) or (not part.startswith(":") and part != parts[index]):
                return None
            if part.startswith(":"):
                found[part[1:]] = parts[index]
        return found if len(parts) == len(wanted) else None
