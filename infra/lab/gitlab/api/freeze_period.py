"""Freeze periods of projects. Pipelines that are made in one are told so by `CI_DEPLOY_FREEZE`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, string
from infra.lab.gitlab.api.route import Answer, Request, delete, get, post, put
from infra.lab.gitlab.cron import Cron, CronError
from infra.lab.gitlab.store.base import now, stamp
from infra.lab.gitlab.store.freeze_period import FreezePeriod


def _show(period: FreezePeriod) -> dict[str, Any]:
    """API_Entities_FreezePeriod."""
    return {
        "id": period.id,
        "freeze_start": period.freeze_start,
        "freeze_end": period.freeze_end,
        "cron_timezone": period.cron_timezone,
        "created_at": stamp(period.created_at),
        "updated_at": stamp(period.updated_at),
    }


def _list(request: Request) -> Answer:
    project = request.project(Role.REPORTER)
    statement = select(FreezePeriod).where(FreezePeriod.project_id == project.id).order_by(FreezePeriod.id)
    return paginate(request, statement, _show)


def _found(request: Request, minimum: Role) -> FreezePeriod:
    project = request.project(minimum)
    period = request.session.get(FreezePeriod, request.number("freeze_period_id", "Freeze Period"))
    if period is None or period.project_id != project.id:
        raise not_found("Freeze Period")
    return period


def _show_one(request: Request) -> Answer:
    return _show(_found(request, Role.REPORTER))


def _create(request: Request) -> Answer:
    period = FreezePeriod(project_id=request.project(Role.MAINTAINER).id, cron_timezone="UTC")
    _apply(period, request.params)
    request.session.add(period)
    request.session.flush()
    return _show(period)


def _update(request: Request) -> Answer:
    period = _found(request, Role.MAINTAINER)
    _apply(period, request.params)
    return _show(period)


def _apply(period: FreezePeriod, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value is not None:
            setattr(period, name, value)
    for name in ("freeze_start", "freeze_end"):
        try:
            Cron.parse(getattr(period, name), period.cron_timezone)
        except CronError as error:
            raise message(400, {name: [str(error)]}) from error
    period.updated_at = now()


def _delete(request: Request) -> Answer:
    request.session.delete(_found(request, Role.MAINTAINER))
    return None


def _fields(*, new: bool) -> tuple[Parameter, ...]:
    return (*(string(name, required=new) for name in ("freeze_start", "freeze_end")), string("cron_timezone"))


_ALL = "/projects/:id/freeze_periods"
_ONE = f"{_ALL}/:freeze_period_id"

ROUTES = (
    get(_ALL, _list),
    post(_ALL, _create, *_fields(new=True)),
    get(_ONE, _show_one),
    put(_ONE, _update, *_fields(new=False)),
    delete(_ONE, _delete),
)
