"""Jobs of pipelines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import JSON, ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.user import User
from pipelines.language.model import JobSpec, Status

WITH_RUNNER = frozenset({Status.RUNNING, Status.CANCELING})
"""Statuses in which a runner works on the job."""
COMPLETE = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELED})
"""Statuses of a job that ended."""
CANCELABLE = frozenset(
    {
        Status.CREATED,
        Status.WAITING_FOR_RESOURCE,
        Status.PREPARING,
        Status.PENDING,
        Status.RUNNING,
        Status.MANUAL,
        Status.SCHEDULED,
    }
)

_SPEC = TypeAdapter(JobSpec)


class Job(Identified, Base):
    """A job: a row for each try; of several with one name, those that were retried are marked so."""

    __tablename__ = "job"
    __table_args__ = (
        Index("job_status", "status"),
        Index("job_pipeline", "pipeline_id"),
        Index("job_project_resource_group", "project_id", "resource_group"),
        {"sqlite_autoincrement": True},
    )

    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipeline.id", ondelete="CASCADE"))
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    runner_id: Mapped[int | None] = mapped_column(ForeignKey("runner.id", ondelete="SET NULL"), index=True)
    manager_id: Mapped[int | None] = mapped_column(ForeignKey("runner_manager.id", ondelete="SET NULL"))
    environment_id: Mapped[int | None] = mapped_column(ForeignKey("environment.id", ondelete="SET NULL"))
    name: Mapped[str]
    stage: Mapped[str]
    stage_index: Mapped[int]
    status: Mapped[str] = mapped_column(default=Status.CREATED)
    when: Mapped[str]
    allow_failure: Mapped[bool] = mapped_column(default=False)
    protected: Mapped[bool] = mapped_column(default=False)
    interruptible: Mapped[bool] = mapped_column(default=False)
    resource_group: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(default=list)
    spec_json: Mapped[dict[str, Any]] = mapped_column("spec", JSON)
    variables: Mapped[list[Any]] = mapped_column(default=list)
    """Variables given by who played it: key, value."""
    dotenv: Mapped[list[Any]] = mapped_column(default=list)
    """Pairs that the job reported for later jobs."""
    retried: Mapped[bool] = mapped_column(default=False)
    tries: Mapped[int] = mapped_column(default=0)
    """How many tries of this job came before, of those that GitLab makes by itself (`retry`)."""
    failure_reason: Mapped[str | None]
    exit_code: Mapped[int | None]
    coverage: Mapped[float | None]
    timeout: Mapped[int | None]
    """Seconds, fixed when a runner takes the job."""
    confirmed: Mapped[bool] = mapped_column(default=False)
    """The runner said that it has the job (two-phase commit)."""
    graceful: Mapped[bool] = mapped_column(default=False)
    """The runner can run `after_script` when the job is canceled."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    queued_at: Mapped[datetime | None]
    scheduled_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    contacted_at: Mapped[datetime | None]
    """When its runner was last heard about it, to about 15 s."""
    finished_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    artifacts_expire_at: Mapped[datetime | None]

    pipeline: Mapped[Pipeline] = relationship()
    user: Mapped[User | None] = relationship()

    @property
    def spec(self) -> JobSpec:
        """What the configuration says about it."""
        return _SPEC.validate_python(self.spec_json)

    @staticmethod
    def spec_of(spec: JobSpec) -> dict[str, Any]:
        """What is stored of a job's configuration."""
        stored: dict[str, Any] = _SPEC.dump_python(spec, mode="json")
        return stored

    @property
    def complete(self) -> bool:
        """Whether it ended."""
        return self.status in COMPLETE

    @property
    def retryable(self) -> bool:
        """Whether it can be run again, as a new try."""
        return self.complete and not self.retried

    @property
    def playable(self) -> bool:
        """Whether a person can start it."""
        return self.status in {Status.MANUAL, Status.SCHEDULED}


def latest_jobs(session: Session, pipeline_id: int) -> list[Job]:
    """The pipeline's jobs without those that were retried, in the order they were made."""
    statement = select(Job).where(Job.pipeline_id == pipeline_id, Job.retried.is_(False))
    return list(session.scalars(statement.order_by(Job.stage_index, Job.id)))
