"""The clock's work: delayed jobs, merges that wait, lost runners, jobs that nobody may take, files to remove."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.artifact import expire
from infra.lab.gitlab.pipelines.auto_merge import merge_ready
from infra.lab.gitlab.pipelines.completion import finish
from infra.lab.gitlab.pipelines.failure import FailureReason
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.pipelines.transition import enqueue, process
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.job import WITH_RUNNER, Job
from pipelines.language.model import Status

TICK_SECONDS = 1.0
SILENCE = timedelta(minutes=5)
"""A runner says something at least every 30 s; after this it is taken for lost."""
UNCONFIRMED = timedelta(seconds=60)
"""A runner confirms a job at once; one that does not has never got it, and the job goes back into the queue."""
TIMEOUT_GRACE = timedelta(minutes=2)
"""The runner ends a job that takes too long by itself; the server only when it does not."""
PENDING_LIMIT = timedelta(hours=24)
"""Ci::StuckBuilds::DropPendingService"""
_EVERY_CHECK = 10
_EVERY_SWEEP = 600
_LOG = logging.getLogger(__name__)


class Watch:
    """A thread that looks after one instance's jobs."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._stopped = threading.Event()
        self._started_at = now()
        self._thread = threading.Thread(target=self._run, name="ci-watch", daemon=True)

    def start(self) -> None:
        """Begins to watch; returns at once."""
        self._started_at = now()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        ticks = 0
        while not self._stopped.wait(TICK_SECONDS):
            ticks += 1
            self._safely(self.start_delayed)
            self._safely(self.merge)
            if ticks % _EVERY_CHECK == 0:
                self._safely(self.check)
            if ticks % _EVERY_SWEEP == 0:
                self._safely(self.sweep)

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001
            # Whatever went wrong with one job must not stop the watch over the others.
            _LOG.exception("the watch over jobs stumbled")

    def start_delayed(self) -> None:
        """Starts the delayed jobs whose time has come."""
        due = (Job.status == Status.SCHEDULED) & (Job.scheduled_at <= now())
        for job_id in self._ids(due):
            self._change(job_id, due, _start)

    def merge(self) -> None:
        """Merges the merge requests that waited for a pipeline which has succeeded."""
        merge_ready(self._instance)

    def check(self) -> None:
        """Ends or returns jobs that cannot go on."""
        silent = self._since(SILENCE)
        lost = Job.status.in_(WITH_RUNNER) & (Job.contacted_at <= silent) if silent else None
        unheard = self._since(UNCONFIRMED)
        returned = (
            (Job.status == Status.RUNNING) & Job.confirmed.is_(False) & (Job.started_at <= unheard) if unheard else None
        )
        for condition, work in ((returned, _return), (lost, _drop)):
            if condition is not None:
                for job_id in self._ids(condition):
                    self._change(job_id, condition, work)
        for job_id in self._ids(Job.status.in_(WITH_RUNNER)):
            self._change_if(job_id, _overdue, _time_out)
        old = (Job.status == Status.PENDING) & (Job.queued_at <= now() - PENDING_LIMIT)
        for job_id in self._ids(old):
            self._change(job_id, old, _drop)

    def sweep(self) -> None:
        """Removes the files of artifacts whose time is over."""
        expire(self._instance)

    def _since(self, span: timedelta) -> datetime | None:
        """The moment before which a silence counts: the server itself must have been there to hear."""
        moment = now() - span
        return moment if moment >= self._started_at else None

    def _ids(self, condition: ColumnElement[bool]) -> list[int]:
        with self._instance.store.read() as session:
            return list(session.scalars(select(Job.id).where(condition)))

    def _change(self, job_id: int, condition: ColumnElement[bool], work: Callable[[Session, Job], str | None]) -> None:
        with self._instance.store.write() as session:
            job = session.scalars(select(Job).where(Job.id == job_id, condition)).first()
            said = work(session, job) if job is not None else None
        self._tell(job_id, said)

    def _change_if(self, job_id: int, holds: Callable[[Job], bool], work: Callable[[Session, Job], str | None]) -> None:
        with self._instance.store.read() as session:
            job = session.get(Job, job_id)
            if job is None or not holds(job):
                return
        self._change(job_id, or_(*(Job.status == status for status in WITH_RUNNER)), work)

    def _tell(self, job_id: int, said: str | None) -> None:
        if said:
            CiService.of(self._instance).traces.append_line(job_id, f"\x1b[31;1m{said}\x1b[0;m")


def _start(session: Session, job: Job) -> None:
    enqueue(session, job)
    process(session, job.pipeline)


def _return(session: Session, job: Job) -> None:
    _LOG.warning("job %s was never confirmed by runner %s: back into the queue", job.id, job.runner_id)
    job.runner_id = job.manager_id = job.started_at = job.contacted_at = None
    enqueue(session, job)
    process(session, job.pipeline)


def _drop(session: Session, job: Job) -> str:
    finish(session, job, Status.FAILED, failure_reason=FailureReason.STUCK_OR_TIMEOUT)
    return "ERROR: Job failed: there has been a timeout failure or the job got stuck."


def _overdue(job: Job) -> bool:
    if job.started_at is None or job.timeout is None:
        return False
    return now() > job.started_at + timedelta(seconds=job.timeout) + TIMEOUT_GRACE


def _time_out(session: Session, job: Job) -> str:
    finish(session, job, Status.FAILED, failure_reason=FailureReason.TIMEOUT)
    return f"ERROR: Job failed: execution took longer than {job.timeout} seconds"
