"""The queue of pending jobs: which runner may take which job, and how an idle poll costs nothing.

Runners send back the queue's last value (`X-GitLab-Last-Update`); while it stays the same there is nothing new for
them.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, and_, event, false, or_, select, update
from sqlalchemy.orm import Session

from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.namespace import descendants, find_namespace
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.runner import AccessLevel, Runner, RunnerManager, RunnerProject, RunnerType
from pipelines.language.model import Status

_CHANGED = "ci_queue_changed"


class QueueClock:
    """A value that changes whenever a job may have become available to some runner."""

    def __init__(self) -> None:
        self._epoch = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._value = self._next()

    def _next(self) -> str:
        return f"{self._epoch}{next(self._numbers):x}"

    @property
    def value(self) -> str:
        """The value now. Read it before looking into the queue, so that nothing falls between."""
        return self._value

    def tick(self) -> None:
        """Says that the queue changed."""
        with self._lock:
            self._value = self._next()


class Claims:
    """Jobs that are being given out at this moment: who finds one here looks on, and does not wait to find it gone."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._lock = threading.Lock()

    @contextmanager
    def claim(self, job_id: int) -> Iterator[bool]:
        """Whether the job is ours to give; until the end nobody else gets it."""
        with self._lock:
            free = job_id not in self._held
            self._held.add(job_id)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._held.discard(job_id)


CLOCK = QueueClock()
"""The clock of this process. Instances that share one (in tests) look into their queues once too often, no more."""


def changed(session: Session) -> None:
    """Notes that this transaction makes a job available; the clock ticks once it is committed."""
    session.info[_CHANGED] = True


def _committed(session: Session) -> None:
    if session.info.pop(_CHANGED, False):
        CLOCK.tick()


event.listen(Session, "after_commit", _committed)


def matches(runner: Runner, job: Job) -> bool:
    """Whether the runner's tags and protection let it run the job."""
    if runner.paused:
        return False
    if runner.access_level == AccessLevel.REF_PROTECTED and not job.protected:
        return False
    if not job.tags:
        return runner.run_untagged
    return set(job.tags) <= set(runner.tags)


def reach(session: Session, runner: Runner) -> ColumnElement[bool]:
    """A condition on Project: those that the runner works for."""
    if runner.runner_type == RunnerType.PROJECT:
        mine = select(RunnerProject.project_id).where(RunnerProject.runner_id == runner.id)
        return Project.id.in_(mine)
    if runner.runner_type == RunnerType.GROUP:
        group = find_namespace(session, runner.group_id) if runner.group_id is not None else None
        if group is None:
            return false()
        return Project.namespace_id.in_([group.id, *(each.id for each in descendants(session, group))])
    return Project.id.is_not(None)


def open_to(runner: Runner, project: Project) -> bool:
    """Whether the project lets shared runners of this type in."""
    if runner.runner_type == RunnerType.INSTANCE:
        return bool(project.setting("shared_runners_enabled"))
    if runner.runner_type == RunnerType.GROUP:
        return bool(project.setting("group_runners_enabled"))
    return True


def candidates(session: Session, runner: Runner) -> list[Job]:
    """The pending jobs that the runner may take, oldest first."""
    statement = (
        select(Job)
        .join(Project, Job.project_id == Project.id)
        .where(Job.status == Status.PENDING, Project.archived.is_(False), reach(session, runner))
        .order_by(Job.queued_at, Job.id)
    )
    return [job for job in session.scalars(statement) if matches(runner, job) and open_to(runner, job.pipeline.project)]


def take(session: Session, job_id: int, runner: Runner, manager: RunnerManager, timeout: int) -> bool:
    """Gives a pending job to a runner; False when another one was faster. `timeout` in seconds."""
    moment = now()
    taken = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status == Status.PENDING)
        .values(
            status=Status.RUNNING,
            runner_id=runner.id,
            manager_id=manager.id,
            graceful=manager.graceful,
            timeout=timeout,
            confirmed=False,
            started_at=moment,
            contacted_at=moment,
            updated_at=moment,
        )
        .execution_options(synchronize_session=False)
    )
    return bool(getattr(taken, "rowcount", 0) == 1)


def available_to(project: Project) -> ColumnElement[bool]:
    """A condition on Runner: those that may work for the project."""
    groups = [each.id for each in project.namespace.lineage()]
    assigned = select(RunnerProject.runner_id).where(RunnerProject.project_id == project.id)
    ways: list[ColumnElement[bool]] = [Runner.id.in_(assigned)]
    if project.setting("group_runners_enabled"):
        ways.append(and_(Runner.runner_type == RunnerType.GROUP, Runner.group_id.in_(groups)))
    if project.setting("shared_runners_enabled"):
        ways.append(Runner.runner_type == RunnerType.INSTANCE)
    return or_(*ways)
