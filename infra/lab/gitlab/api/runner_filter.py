"""Lists of runners, filtered by type, status, tags and version."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select

from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, array, boolean, string
from infra.lab.gitlab.api.route import Answer, Request
from infra.lab.gitlab.api.runner_entity import show_runner
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.runner import ONLINE_FOR, STALE_AFTER, Runner, RunnerManager, RunnerType

_TYPES = tuple(kind.value for kind in RunnerType)
_STATUSES = ("active", "paused", "online", "offline", "never_contacted", "stale")

FILTERS: tuple[Parameter, ...] = (
    string("scope", values=("specific", "shared", *_TYPES, *_STATUSES)),
    string("type", values=_TYPES),
    boolean("paused"),
    string("status", values=_STATUSES),
    array("tag_list"),
    string("version_prefix"),
)


def _status_is(status: str) -> ColumnElement[bool]:
    moment = now()
    online, stale = moment - ONLINE_FOR, moment - STALE_AFTER
    silent = or_(
        Runner.contacted_at <= stale,
        Runner.contacted_at.is_(None) & (Runner.created_at <= stale),
    )
    return {
        "active": Runner.paused.is_(False),
        "paused": Runner.paused.is_(True),
        "online": Runner.contacted_at > online,
        "offline": Runner.contacted_at <= online,
        "never_contacted": Runner.contacted_at.is_(None),
        "stale": silent,
    }[status]


def _filtered(statement: Select[Runner], params: dict[str, Any]) -> Select[Runner]:
    scope = {"specific": RunnerType.PROJECT.value, "shared": RunnerType.INSTANCE.value}.get(
        params.get("scope") or "", params.get("scope")
    )
    for kind in (params.get("type"), scope if scope in _TYPES else None):
        if kind:
            statement = statement.where(Runner.runner_type == kind)
    for status in (params.get("status"), scope if scope in _STATUSES else None):
        if status:
            statement = statement.where(_status_is(status))
    if params.get("paused") is not None:
        statement = statement.where(Runner.paused.is_(params["paused"]))
    if params.get("version_prefix"):
        managed = select(RunnerManager.runner_id).where(RunnerManager.version.startswith(params["version_prefix"]))
        statement = statement.where(Runner.id.in_(managed))
    return statement.order_by(Runner.id.desc())


def runner_page(request: Request, statement: Select[Runner]) -> Answer:
    """One page of these runners, filtered by the request's parameters."""

    def show(runner: Runner) -> dict[str, Any]:
        return show_runner(request.instance, request.session, runner)

    statement = _filtered(statement, request.params)
    wanted = set(request.params.get("tag_list") or [])
    if not wanted:
        return paginate(request, statement, show)
    return paginate(request, [each for each in request.session.scalars(statement) if wanted <= set(each.tags)], show)
