"""Runners, and the processes (managers) that work under a runner's token."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.user import User

PREFIX = "glrt-"
ONLINE_FOR = timedelta(hours=2)
"""GitLab's Ci::Runner::ONLINE_CONTACT_TIMEOUT."""
STALE_AFTER = timedelta(days=7)


class RunnerType(StrEnum):
    """For whom a runner works."""

    INSTANCE = "instance_type"
    GROUP = "group_type"
    PROJECT = "project_type"


class AccessLevel(StrEnum):
    """Whether a runner takes only the jobs of protected refs."""

    NOT_PROTECTED = "not_protected"
    REF_PROTECTED = "ref_protected"


class RunnerStatus(StrEnum):
    """Whether a runner was heard of."""

    ONLINE = "online"
    OFFLINE = "offline"
    STALE = "stale"
    NEVER_CONTACTED = "never_contacted"


def contact_status(contacted_at: datetime | None, created_at: datetime) -> RunnerStatus:
    """The status that follows from the last contact."""
    if contacted_at is None:
        return RunnerStatus.STALE if now() - created_at > STALE_AFTER else RunnerStatus.NEVER_CONTACTED
    silence = now() - contacted_at
    if silence <= ONLINE_FOR:
        return RunnerStatus.ONLINE
    return RunnerStatus.STALE if silence > STALE_AFTER else RunnerStatus.OFFLINE


class Runner(Identified, Base):
    """A runner. Its token is kept as a digest; what it may do lives here, not in the runner's own configuration."""

    __tablename__ = "runner"

    runner_type: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    description: Mapped[str | None]
    maintenance_note: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(default=list)
    run_untagged: Mapped[bool] = mapped_column(default=True)
    locked: Mapped[bool] = mapped_column(default=False)
    access_level: Mapped[str] = mapped_column(default=AccessLevel.NOT_PROTECTED)
    paused: Mapped[bool] = mapped_column(default=False)
    maximum_timeout: Mapped[int | None]
    group_id: Mapped[int | None] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"), index=True)
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    contacted_at: Mapped[datetime | None]

    creator: Mapped[User | None] = relationship(lazy="joined")
    managers: Mapped[list[RunnerManager]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="RunnerManager.id", lazy="select"
    )
    projects: Mapped[list[RunnerProject]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="RunnerProject.id", lazy="select"
    )

    @property
    def status(self) -> RunnerStatus:
        """Whether it was heard of."""
        return contact_status(self.contacted_at, self.created_at)


class RunnerManager(Identified, Base):
    """One process of a runner, told apart by its system id."""

    __tablename__ = "runner_manager"
    __table_args__ = (
        Index("runner_manager_system", "runner_id", "system_id", unique=True),
        {"sqlite_autoincrement": True},
    )

    runner_id: Mapped[int] = mapped_column(ForeignKey("runner.id", ondelete="CASCADE"))
    system_id: Mapped[str]
    version: Mapped[str | None]
    revision: Mapped[str | None]
    platform: Mapped[str | None]
    architecture: Mapped[str | None]
    executor: Mapped[str | None]
    graceful: Mapped[bool] = mapped_column(default=False)
    ip_address: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    contacted_at: Mapped[datetime | None]


class RunnerProject(Identified, Base):
    """A project that a project runner works for; the first one owns it."""

    __tablename__ = "runner_project"
    __table_args__ = (
        Index("runner_project_pair", "runner_id", "project_id", unique=True),
        {"sqlite_autoincrement": True},
    )

    runner_id: Mapped[int] = mapped_column(ForeignKey("runner.id", ondelete="CASCADE"))
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
