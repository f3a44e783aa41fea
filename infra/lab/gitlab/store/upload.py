"""Files that people put into a project to show them in issues, comments and descriptions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.user import User


class Upload(Identified, Base):
    """One file, on disk below its secret. Who knows the secret and sees the project may read it."""

    __tablename__ = "upload"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    secret: Mapped[str] = mapped_column(unique=True)
    filename: Mapped[str]
    size: Mapped[int]
    """Bytes."""
    uploaded_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)

    uploaded_by: Mapped[User | None] = relationship(lazy="joined")
