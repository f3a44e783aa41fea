"""Webhooks of projects, which are called; those of the instance are kept and shown only."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, boolean, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, delete, get, post, put
from infra.lab.gitlab.store.base import stamp
from infra.lab.gitlab.store.hook import Hook

_SYSTEM_EVENTS = {
    "push_events": False,
    "tag_push_events": False,
    "merge_requests_events": False,
    "repository_update_events": True,
}
_PROJECT_EVENTS = {
    "push_events": True,
    "tag_push_events": False,
    "merge_requests_events": False,
    "repository_update_events": False,
    **dict.fromkeys(
        (
            *("issues_events", "confidential_issues_events", "note_events", "confidential_note_events"),
            *("pipeline_events", "wiki_page_events", "deployment_events", "feature_flag_events", "job_events"),
            *("releases_events", "milestone_events", "emoji_events", "resource_access_token_events"),
        ),
        False,
    ),
}
_TEXTS = ("name", "description", "push_events_branch_filter", "branch_filter_strategy", "custom_webhook_template")


def _show(hook: Hook) -> dict[str, Any]:
    """API_Entities_ProjectHook, or API_Entities_Hook of the instance. The token is never shown."""
    kept = hook.settings
    events = _SYSTEM_EVENTS if hook.project_id is None else _PROJECT_EVENTS
    shown = {
        "id": hook.id,
        "url": hook.url,
        "name": kept.get("name"),
        "description": kept.get("description"),
        "created_at": stamp(hook.created_at),
        **{name: kept.get(name, default) for name, default in events.items()},
        "enable_ssl_verification": kept.get("enable_ssl_verification", True),
        "alert_status": "executable",
        "disabled_until": None,
        "url_variables": [],
        "push_events_branch_filter": kept.get("push_events_branch_filter"),
        "branch_filter_strategy": kept.get("branch_filter_strategy") or "wildcard",
        "custom_webhook_template": kept.get("custom_webhook_template"),
        "custom_headers": [],
    }
    return shown if hook.project_id is None else {**shown, "project_id": hook.project_id}


def _owner(request: Request) -> int | None:
    return request.project(Role.MAINTAINER).id if "id" in request.segments else None


def _list(request: Request) -> Answer:
    owner = _owner(request)
    condition = Hook.project_id.is_(None) if owner is None else Hook.project_id == owner
    return paginate(request, select(Hook).where(condition).order_by(Hook.id), _show)


def _found(request: Request) -> Hook:
    owner = _owner(request)
    hook = request.session.get(Hook, request.number("hook_id"))
    if hook is None or hook.project_id != owner:
        raise not_found()
    return hook


def _show_one(request: Request) -> Answer:
    return _show(_found(request))


def _create(request: Request) -> Answer:
    hook = Hook(project_id=_owner(request), url="", settings={})
    _apply(request, hook)
    request.session.add(hook)
    request.session.flush()
    return _show(hook)


def _update(request: Request) -> Answer:
    hook = _found(request)
    _apply(request, hook)
    return _show(hook)


def _apply(request: Request, hook: Hook) -> None:
    given = request.params
    url = given.get("url") or hook.url
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise message(422, "Invalid url given")
    hook.url = url
    if given.get("token") is not None:
        hook.seal(request.instance, given["token"])
    changed = {name: value for name, value in given.items() if name not in ("url", "token") and value is not None}
    hook.settings = {**hook.settings, **changed}


def _delete(request: Request) -> Answer:
    request.session.delete(_found(request))
    return None


def _fields(events: dict[str, bool], *, new: bool) -> tuple[Parameter, ...]:
    return (
        string("url", required=new),
        string("token"),
        *(string(name) for name in _TEXTS),
        *(boolean(name) for name in (*events, "enable_ssl_verification")),
    )


_PROJECT = "/projects/:id/hooks"

ROUTES = (
    get("/hooks", _list, entry=Entry.ADMIN),
    post("/hooks", _create, *_fields(_SYSTEM_EVENTS, new=True), entry=Entry.ADMIN),
    get("/hooks/:hook_id", _show_one, entry=Entry.ADMIN),
    put("/hooks/:hook_id", _update, *_fields(_SYSTEM_EVENTS, new=False), entry=Entry.ADMIN),
    delete("/hooks/:hook_id", _delete, entry=Entry.ADMIN),
    get(_PROJECT, _list),
    post(_PROJECT, _create, *_fields(_PROJECT_EVENTS, new=True)),
    get(f"{_PROJECT}/:hook_id", _show_one),
    put(f"{_PROJECT}/:hook_id", _update, *_fields(_PROJECT_EVENTS, new=False)),
    delete(f"{_PROJECT}/:hook_id", _delete),
)
