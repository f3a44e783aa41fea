"""Refs as the database last saw them, and pushes whose subscribers have not all been told.

Git and the database are two stores: a process that dies between them leaves a ref that the database has not seen. The
next start finds it by comparing.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from infra.lab.gitlab.store.base import Base, Identified, now


class KnownRef(Base):
    """The object that a branch or tag pointed to when its last push was noted."""

    __tablename__ = "known_ref"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), primary_key=True)
    ref: Mapped[str] = mapped_column(primary_key=True)
    sha: Mapped[str]


class PendingPush(Identified, Base):
    """A moved ref that is still to be told; removed when all subscribers have returned."""

    __tablename__ = "pending_push"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    ref: Mapped[str]
    before: Mapped[str]
    after: Mapped[str]
    user_id: Mapped[int | None]
    options: Mapped[list[str]] = mapped_column(default=list)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
