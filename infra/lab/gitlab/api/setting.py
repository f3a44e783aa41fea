"""The instance's application settings."""

from __future__ import annotations

from typing import Any

from infra.lab.gitlab.api.error import message
from infra.lab.gitlab.api.parameter import Kind, Parameter, refused
from infra.lab.gitlab.api.route import Answer, Entry, Request, get, put
from infra.lab.gitlab.store.setting import DEFAULTS, ApplicationSetting, settings_of

_VISIBILITIES = ("private", "internal", "public")
_CHOICES: dict[str, tuple[Any, ...]] = {
    "default_group_visibility": _VISIBILITIES,
    "default_project_visibility": _VISIBILITIES,
    "default_snippet_visibility": _VISIBILITIES,
    "default_branch_protection": (0, 1, 2, 3, 4),
    "enabled_git_access_protocol": ("ssh", "http", "all"),
}

_LIMITED = ("authenticated_api", "authenticated_web", "unauthenticated")


def _kind(value: Any) -> Kind:
    for type_, kind in ((bool, Kind.BOOLEAN), (int, Kind.INTEGER), (list, Kind.ARRAY), (dict, Kind.HASH)):
        if isinstance(value, type_):
            return kind
    return Kind.STRING


def _show(request: Request) -> Answer:
    return {"id": 1, **settings_of(request.session)}


def _update(request: Request) -> Answer:
    if not request.params:
        raise message(400, f"400 Bad request - {', '.join(DEFAULTS)} are missing, at least one must be provided")
    for name, value in request.params.items():
        changed = request.session.get(ApplicationSetting, name)
        if changed is None:
            request.session.add(ApplicationSetting(name=name, value={"value": value}))
        else:
            changed.value = {"value": value}
    request.session.flush()
    return _show(request)


ROUTES = (
    get("/application/settings", _show, entry=Entry.ADMIN),
    put(
        "/application/settings",
        _update,
        *(Parameter(name=name, kind=_kind(value), values=_CHOICES.get(name, ())) for name, value in DEFAULTS.items()),
        *refused(
            *(f"throttle_{kind}_enabled" for kind in ("authenticated_api", "authenticated_web", "unauthenticated"))
        ),
        entry=Entry.ADMIN,
    ),
)
