"""Deploy keys: SSH keys of machines, and the projects that let them in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.project import Project


class DeployKey(Identified, Base):
    """A public key. `public` ones, made by administrators, may be enabled anywhere."""

    __tablename__ = "deploy_key"

    title: Mapped[str]
    key: Mapped[str] = mapped_column(unique=True)
    public: Mapped[bool] = mapped_column(default=False)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    """Who brought it."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]

    grants: Mapped[list[DeployKeyGrant]] = relationship(cascade="all, delete-orphan", lazy="selectin")


class DeployKeyGrant(Base):
    """A project that lets a key in."""

    __tablename__ = "deploy_key_grant"

    deploy_key_id: Mapped[int] = mapped_column(ForeignKey("deploy_key.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True)
    can_push: Mapped[bool] = mapped_column(default=False)

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
