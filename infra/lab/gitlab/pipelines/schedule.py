"""Scheduled pipelines: made when their time has come, or by hand."""

from __future__ import annotations

import logging

from sqlalchemy import select

from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.cron import Cron
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.creation import PipelineRefusedError, PipelineRequest, create_pipeline
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.schedule import PipelineSchedule
from infra.lab.gitlab.store.user import User
from pipelines.language.model import PipelineSource

_TAG = "refs/tags/"
_LOG = logging.getLogger(__name__)


def plan_next_run(schedule: PipelineSchedule) -> None:
    """Notes when it runs next. Raises CronError."""
    schedule.next_run_at = Cron.parse(schedule.cron, schedule.cron_timezone).after(now()) if schedule.active else None


def run_due(instance: Instance) -> None:
    """Makes the pipelines of the schedules whose time has come. Times that passed while nobody looked run once."""
    due = (PipelineSchedule.active.is_(True)) & (PipelineSchedule.next_run_at <= now())
    with instance.store.read() as session:
        ids = list(session.scalars(select(PipelineSchedule.id).where(due)))
    for schedule_id in ids:
        with instance.store.write() as session:
            schedule = session.scalars(
                select(PipelineSchedule).where(PipelineSchedule.id == schedule_id, due)
            ).one_or_none()
            if schedule is None:
                continue
            plan_next_run(schedule)
            owner = schedule.owner
        try:
            run_schedule(instance, schedule, owner)
        except PipelineRefusedError as error:
            _LOG.warning("schedule %s made no pipeline: %s", schedule_id, error)


def run_schedule(instance: Instance, schedule: PipelineSchedule, user: User | None) -> int:
    """Makes the schedule's pipeline in the name of `user`; its id. Raises PipelineRefusedError."""
    wanted = PipelineRequest(
        project_id=schedule.project_id,
        ref=schedule.ref.split("/", 2)[2],
        tag=schedule.ref.startswith(_TAG),
        identity=Identity(user=user),
        source=PipelineSource.SCHEDULE,
        variables=tuple(schedule.variables),
        save_errors=True,
        schedule_id=schedule.id,
    )
    return create_pipeline(instance, wanted)
