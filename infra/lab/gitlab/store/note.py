"""Comments on issues and merge requests."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.issue import Issue
from infra.lab.gitlab.store.merge_request import MergeRequest
from infra.lab.gitlab.store.user import User

Noteable = Issue | MergeRequest
"""What can be commented on."""


class Note(Identified, Base):
    """A comment on an issue or on a merge request."""

    __tablename__ = "note"

    issue_id: Mapped[int | None] = mapped_column(ForeignKey("issue.id", ondelete="CASCADE"), index=True)
    merge_request_id: Mapped[int | None] = mapped_column(ForeignKey("merge_request.id", ondelete="CASCADE"), index=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    body: Mapped[str]
    internal: Mapped[bool] = mapped_column(default=False)
    """Seen from Planner on."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)

    author: Mapped[User | None] = relationship(lazy="joined")


def note_count(session: Session, noteable: Noteable) -> int:
    """How many comments it has."""
    column = Note.issue_id if isinstance(noteable, Issue) else Note.merge_request_id
    return session.scalar(select(func.count(Note.id)).where(column == noteable.id)) or 0
