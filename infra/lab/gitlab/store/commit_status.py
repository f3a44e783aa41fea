"""What other systems say about a commit."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.user import User


class CommitStatus(Identified, Base):
    """The last word of one system (`name`) about a commit on a ref. It is not a job of a pipeline."""

    __tablename__ = "commit_status"
    __table_args__ = (
        Index("commit_status_name", "project_id", "sha", "name", "ref", unique=True),
        {"sqlite_autoincrement": True},
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    sha: Mapped[str]
    ref: Mapped[str]
    name: Mapped[str]
    state: Mapped[str]
    target_url: Mapped[str | None]
    description: Mapped[str | None]
    coverage: Mapped[float | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]

    author: Mapped[User | None] = relationship(lazy="joined")
