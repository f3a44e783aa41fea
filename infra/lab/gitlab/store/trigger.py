"""Trigger tokens: whoever has one starts pipelines of its project in the name of its owner."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.user import User


class Trigger(Identified, Base):
    """A trigger token, kept as its digest."""

    __tablename__ = "trigger"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(unique=True)
    start: Mapped[str]
    """The token's first letters, by which a person knows it again."""
    description: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    last_used: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]

    owner: Mapped[User] = relationship(lazy="joined", innerjoin=True)
