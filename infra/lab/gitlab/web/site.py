"""Finds the page of a request and runs it in a thread."""

from __future__ import annotations

from types import ModuleType
from urllib.parse import quote, unquote

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from infra.lab.gitlab.access import sees_project
from infra.lab.gitlab.api.error import ApiError, not_found
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.project import find_project
from infra.lab.gitlab.web import environment, job, login, merge_request, pipeline, project
from infra.lab.gitlab.web.visit import HEADERS, HERE, Page, Visit

MODULES: tuple[ModuleType, ...] = (project, pipeline, job, merge_request, environment)
"""Modules with PAGES of a project."""

STATIC = {"style.css": "text/css", "job.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
_FORM_LIMIT = 64 * 1024


class Site:
    """All pages."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._project_pages: tuple[Page, ...] = tuple(page for module in MODULES for page in module.PAGES)
        self._pages = (
            Page(path="", handler=project.show_all),
            Page(path="users/sign_in", handler=login.show),
            Page(path="users/sign_in", handler=login.enter, method="POST"),
            Page(path="users/sign_out", handler=login.leave, method="POST"),
        )

    async def respond(self, request: Request) -> Response:
        """The page, a page that says why not, or the way to sign in."""
        path = unquote(request.scope["raw_path"].decode("latin-1").partition("?")[0]).strip("/")
        name = path.removeprefix("-/forgeline/")
        if name in STATIC and name != path:
            return FileResponse(HERE / "static" / name, media_type=STATIC[name], headers=dict(HEADERS))
        form: dict[str, str] = {}
        if request.method == "POST":
            if int(request.headers.get("content-length") or _FORM_LIMIT) > _FORM_LIMIT:
                return Response("The form is too large", 413)
            async with request.form(max_files=0, max_fields=100) as data:
                form = {name: value for name, value in data.items() if isinstance(value, str)}
        return await anyio.to_thread.run_sync(self._visit, request, path, form)

    def _visit(self, request: Request, path: str, form: dict[str, str]) -> Response:
        known = request.cookies.get(login.COOKIE, "")
        cookie = known or login.new_cookie()
        with self._instance.store.read() as session:
            visit = Visit(
                instance=self._instance,
                session=session,
                identity=login.identify(session, known),
                segments={},
                query=dict(request.query_params),
                form=form,
                csrf=login.form_token(self._instance, cookie),
                path="/" + path,
            )
            response = self._answer(visit, request.method, path, known)
        if not known and login.COOKIE not in response.headers.get("set-cookie", ""):
            # Somebody who hasn't signed in needs a cookie too: the sign-in form's token hangs on it.
            login.set_cookie(response, cookie)
        return response

    def _answer(self, visit: Visit, method: str, path: str, cookie: str) -> Response:
        try:
            page = self._find(visit, "GET" if method == "HEAD" else method, path)
            token = visit.form.get("authenticity_token", "")
            if method == "POST" and not login.form_token_matches(self._instance, cookie, token):
                return visit.render("error.html", text="The form has expired. Go back and try again.", status=422)
            return page.handler(visit)
        except ApiError as error:
            if visit.identity.anonymous and method in ("GET", "HEAD"):
                return RedirectResponse(f"/users/sign_in?back={quote(visit.path)}", 303)
            text = str(error.body.get("message") or error.body.get("error"))
            return visit.render("error.html", text=text, status=error.status)

    def _find(self, visit: Visit, method: str, path: str) -> Page:
        for page in self._pages:
            if page.method == method and page.match(path.split("/")) is not None:
                return page
        place, dash, rest = path.partition("/-/")
        chosen = find_project(visit.session, place) if "/" in place else None
        if chosen is None or not sees_project(visit.session, visit.identity, chosen):
            raise not_found("Page")
        visit.chosen = chosen
        if not dash and method == "GET":
            return Page(path="", handler=project.show)
        for page in self._project_pages:
            segments = page.match(rest.split("/"))
            if page.method == method and segments is not None:
                visit.segments = segments
                return page
        raise not_found("Page")
