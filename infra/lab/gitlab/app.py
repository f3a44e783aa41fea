"""Puts the instance together: the API's nouns, git over HTTP, the pages, and what hangs on the hooks."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import ModuleType

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from infra.lab.gitlab.api import (
    access_token,
    artifact,
    artifact_upload,
    avatar,
    branch,
    ci_template,
    commit,
    commit_pick,
    commit_status,
    deploy_key,
    deploy_token,
    deployment,
    environment,
    file,
    freeze_period,
    group,
    group_protected_branch,
    hook,
    hook_event,
    issue,
    job,
    job_token_scope,
    key,
    label,
    lint,
    markdown_upload,
    member,
    membership,
    merge,
    merge_request,
    namespace,
    note,
    openid,
    pipeline,
    project,
    protected_branch,
    protected_tag,
    release,
    repository,
    resource_token,
    runner,
    runner_protocol,
    schedule,
    setting,
    tag,
    topic,
    trigger,
    user,
    user_item,
    variable,
    version,
)
from infra.lab.gitlab.api.endpoint import Api
from infra.lab.gitlab.git_http import GitServer, broken_off, install_hooks
from infra.lab.gitlab.instance import Instance, Settings
from infra.lab.gitlab.merge_request import attach as follow_pushes
from infra.lab.gitlab.pipelines import part
from infra.lab.gitlab.push import reconcile
from infra.lab.gitlab.web.site import Site
from infra.lab.gitlab.webhooks import part as webhooks

NOUNS: tuple[ModuleType, ...] = (
    access_token,
    artifact,
    branch,
    ci_template,
    commit,
    commit_pick,
    commit_status,
    deploy_key,
    deploy_token,
    deployment,
    environment,
    file,
    freeze_period,
    group,
    group_protected_branch,
    hook,
    hook_event,
    issue,
    job,
    job_token_scope,
    key,
    label,
    lint,
    markdown_upload,
    member,
    membership,
    merge,
    merge_request,
    namespace,
    note,
    pipeline,
    project,
    protected_branch,
    protected_tag,
    release,
    repository,
    resource_token,
    runner,
    runner_protocol,
    schedule,
    setting,
    tag,
    topic,
    trigger,
    user,
    user_item,
    variable,
    version,
)
"""Modules with ROUTES."""

PARTS: tuple[Callable[[Instance], None], ...] = (
    job_token_scope.attach,
    part.attach,
    markdown_upload.attach,
    follow_pushes,
    webhooks.attach,
)
"""What hangs itself on the instance's hooks."""

RAW: tuple[Callable[[Instance], list[BaseRoute]], ...] = (artifact_upload.routes, avatar.routes, openid.routes)
"""Endpoints that stream, or that are not below /api."""

_LOG = logging.getLogger(__name__)


def build(settings: Settings) -> Starlette:
    """The ASGI application on a data folder. The database is opened here and made ready when the application starts."""
    instance = Instance(settings)
    for attach in PARTS:
        attach(instance)
    api = Api(instance, [route for noun in NOUNS for route in noun.ROUTES])
    routes = [
        Route("/-/health", lambda _: PlainTextResponse("GitLab OK")),
        Route("/-/liveness", lambda _: JSONResponse({"status": "ok"})),
        Route("/-/readiness", _readiness),
        *(route for raw in RAW for route in raw(instance)),
        Mount("/api", app=api),
        Mount("/", app=_Rest(GitServer(instance), Site(instance))),
    ]
    app = Starlette(routes=routes, lifespan=_lifespan)
    app.state.instance = instance
    return app


class _Rest:
    """What is not below a fixed path: git's requests, whose path begins with a project's, then the pages."""

    def __init__(self, git_server: GitServer, site: Site) -> None:
        self._git = git_server
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        is_git = self._git.handles(scope["raw_path"].decode("latin-1").partition("?")[0])
        response: Response = await (self._git if is_git else self._site).respond(request)
        await response(scope, receive, send)


def _readiness(request: Request) -> JSONResponse:
    instance: Instance = request.app.state.instance
    with instance.store.read() as session:
        session.connection()
    return JSONResponse({"status": "ok", "master_check": [{"status": "ok"}]})


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    instance: Instance = app.state.instance
    await anyio.to_thread.run_sync(_start, instance)
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(_stop, instance)


def _start(instance: Instance) -> None:
    instance.store.create()
    install_hooks(instance)
    for begin in instance.hooks.on_start:
        begin(instance)
    reconcile(instance, broken_off(instance))


def _stop(instance: Instance) -> None:
    for end in instance.hooks.on_stop:
        try:
            end(instance)
        except Exception:  # noqa: BLE001 - one part that fails to stop must not keep the others from stopping
            _LOG.exception("a part did not stop cleanly")
    instance.store.close()
