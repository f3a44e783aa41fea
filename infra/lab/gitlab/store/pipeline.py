"""Pipelines."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.merge_request import MergeRequest
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User
from pipelines.language.model import Status

FINISHED = frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELED, Status.SKIPPED})
"""Statuses of a pipeline in which nothing happens any more."""


class Pipeline(Identified, Base):
    """A pipeline. What its jobs are told about the commit is kept with it, so that handing out a job needs no git."""

    __tablename__ = "pipeline"
    __table_args__ = (
        Index("pipeline_project_iid", "project_id", "iid", unique=True),
        Index("pipeline_project_ref", "project_id", "ref"),
        Index("pipeline_status", "status"),
        Index("pipeline_push", "push_id", unique=True),
        Index("pipeline_merge_request", "merge_request_id"),
        Index("pipeline_of_schedule", "schedule_id"),
        {"sqlite_autoincrement": True},
    )

    iid: Mapped[int]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    merge_request_id: Mapped[int | None] = mapped_column(ForeignKey("merge_request.id", ondelete="SET NULL"))
    """The merge request that it is a pipeline of; `ref` is then the merge request's."""
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("pipeline_schedule.id", ondelete="SET NULL"))
    """The schedule that made it."""
    ref: Mapped[str]
    tag: Mapped[bool] = mapped_column(default=False)
    sha: Mapped[str]
    before_sha: Mapped[str]
    source: Mapped[str]
    status: Mapped[str] = mapped_column(default=Status.CREATED)
    name: Mapped[str | None]
    yaml_errors: Mapped[str | None]
    failure_reason: Mapped[str | None]
    protected: Mapped[bool] = mapped_column(default=False)
    push_id: Mapped[int | None]
    """The push that made it: a push that is told twice makes one pipeline."""
    config_ref_uri: Mapped[str | None]
    """The claim `ci_config_ref_uri`: where the configuration came from."""
    stages: Mapped[list[str]] = mapped_column(default=list)
    commit: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The commit, as `repository.Commit`."""
    predefined: Mapped[list[Any]] = mapped_column(default=list)
    """The pipeline's predefined variables, as JSON of `ci.model.Variable`."""
    variables: Mapped[list[Any]] = mapped_column(default=list)
    """Variables given by who started it: key, value, variable_type."""
    auto_cancel: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]

    project: Mapped[Project] = relationship()
    user: Mapped[User | None] = relationship()
    merge_request: Mapped[MergeRequest | None] = relationship()

    @property
    def source_ref(self) -> str:
        """The branch or tag that it runs for: a merge request's source branch."""
        return self.merge_request.source_branch if self.merge_request is not None else self.ref

    @property
    def finished(self) -> bool:
        """Whether nothing happens in it any more."""
        return self.status in FINISHED


def next_pipeline_iid(session: Session, project_id: int) -> int:
    """The project's next pipeline number; call it under the write lock."""
    highest = session.scalar(select(func.max(Pipeline.iid)).where(Pipeline.project_id == project_id))
    used = session.get(PipelineCounter, project_id)
    number = max(highest or 0, used.last if used else 0) + 1
    if used is None:
        session.add(PipelineCounter(project_id=project_id, last=number))
    else:
        used.last = number
    return number


class PipelineCounter(Base):
    """The last `iid` given out in a project. Versions are made of it: that of a deleted pipeline never comes again."""

    __tablename__ = "pipeline_counter"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True)
    last: Mapped[int]
