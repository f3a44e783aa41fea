"""Pipeline schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User


class PipelineSchedule(Identified, Base):
    """When to run a pipeline for a ref, in the name of its owner."""

    __tablename__ = "pipeline_schedule"
    __table_args__ = (
        Index("pipeline_schedule_due", "active", "next_run_at"),
        {"sqlite_autoincrement": True},
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    description: Mapped[str]
    ref: Mapped[str]
    """In full: `refs/heads/main`."""
    cron: Mapped[str]
    cron_timezone: Mapped[str] = mapped_column(default="UTC")
    active: Mapped[bool] = mapped_column(default=True)
    next_run_at: Mapped[datetime | None]
    variables: Mapped[list[Any]] = mapped_column(default=list)
    """key, value, variable_type."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    owner: Mapped[User | None] = relationship(lazy="joined")
