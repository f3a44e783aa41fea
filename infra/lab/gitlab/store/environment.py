"""Environments and what was deployed to them."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User
from pipelines.language.slug import environment_slug

NAME_LIMIT = 255
NAME = re.compile(r"[A-Za-z0-9_${} /.-]+")


class Tier(StrEnum):
    """What an environment is for."""

    PRODUCTION = "production"
    STAGING = "staging"
    TESTING = "testing"
    DEVELOPMENT = "development"
    OTHER = "other"


class EnvironmentState(StrEnum):
    """Whether something runs in an environment."""

    AVAILABLE = "available"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Environment(Identified, Base):
    """A place that a project's jobs deploy to."""

    __tablename__ = "environment"
    __table_args__ = (
        Index("environment_project_name", "project_id", "name", unique=True),
        {"sqlite_autoincrement": True},
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    name: Mapped[str]
    slug: Mapped[str]
    external_url: Mapped[str | None]
    tier: Mapped[str]
    state: Mapped[str] = mapped_column(default=EnvironmentState.AVAILABLE)
    description: Mapped[str | None]
    auto_stop_setting: Mapped[str] = mapped_column(default="always")
    auto_stop_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)

    project: Mapped[Project] = relationship()


class Deployment(Identified, Base):
    """One try to bring a commit to an environment, by a job or told through the API."""

    __tablename__ = "deployment"
    __table_args__ = (
        Index("deployment_project_iid", "project_id", "iid", unique=True),
        Index("deployment_job", "job_id"),
        {"sqlite_autoincrement": True},
    )

    iid: Mapped[int]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    environment_id: Mapped[int] = mapped_column(ForeignKey("environment.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    ref: Mapped[str]
    tag: Mapped[bool] = mapped_column(default=False)
    sha: Mapped[str]
    status: Mapped[str]
    on_stop: Mapped[str | None]
    """The job that takes the environment down again."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]

    environment: Mapped[Environment] = relationship()
    user: Mapped[User | None] = relationship()


def find_environment(session: Session, project_id: int, name: str) -> Environment | None:
    """The project's environment of this name."""
    return session.scalars(
        select(Environment).where(Environment.project_id == project_id, Environment.name == name)
    ).first()


def ensure_environment(session: Session, project_id: int, name: str, tier: str | None = None) -> Environment:
    """The project's environment of this name, made when it is not there."""
    environment = find_environment(session, project_id, name)
    if environment is None:
        environment = Environment(
            project_id=project_id, name=name, slug=environment_slug(name), tier=tier or guess_tier(name)
        )
        session.add(environment)
        session.flush()
    elif tier is not None and environment.tier != tier:
        environment.tier = tier
    return environment


def next_deployment_iid(session: Session, project_id: int) -> int:
    """The project's next deployment number; call it under the write lock."""
    return (session.scalar(select(func.max(Deployment.iid)).where(Deployment.project_id == project_id)) or 0) + 1


def last_deployment(session: Session, environment_id: int) -> Deployment | None:
    """The environment's newest successful deployment."""
    statement = select(Deployment).where(Deployment.environment_id == environment_id, Deployment.status == "success")
    return session.scalars(statement.order_by(Deployment.id.desc()).limit(1)).first()


_TIERS = (
    (Tier.DEVELOPMENT, r"(dev|review|trunk)"),
    (Tier.TESTING, r"(test|tst|int|ac(ce|)pt|qa|qc|control|quality)"),
    (Tier.STAGING, r"(st(a|)g|mod(e|)l|pre|demo|non)"),
    (Tier.PRODUCTION, r"(pr(o|)d|live)"),
)


def guess_tier(name: str) -> Tier:
    """The tier that a name suggests, in the order that GitLab's Environment#guess_tier tries."""
    return next((tier for tier, pattern in _TIERS if re.search(pattern, name, re.IGNORECASE)), Tier.OTHER)
