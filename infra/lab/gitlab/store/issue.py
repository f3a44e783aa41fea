"""Issues of a project."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User


class IssueState(StrEnum):
    """What has become of it."""

    OPENED = "opened"
    CLOSED = "closed"


class Issue(Identified, Base):
    """An issue. `labels` are names of labels."""

    __tablename__ = "issue"
    __table_args__ = (
        Index("issue_iid", "project_id", "iid", unique=True),
        {"sqlite_autoincrement": True},
    )

    iid: Mapped[int]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    """One person: GitLab's free edition has no more."""
    title: Mapped[str]
    description: Mapped[str | None]
    state: Mapped[str] = mapped_column(default=IssueState.OPENED)
    labels: Mapped[list[str]] = mapped_column(default=list)
    due_date: Mapped[str | None]
    """A day, as `2026-01-31`."""
    confidential: Mapped[bool] = mapped_column(default=False)
    """Seen by its author, its assignee, and from Planner on."""
    discussion_locked: Mapped[bool | None]
    """Only members may comment. None: nobody ever chose."""
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    closed_at: Mapped[datetime | None]

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    author: Mapped[User | None] = relationship(foreign_keys=[author_id], lazy="joined")
    assignee: Mapped[User | None] = relationship(foreign_keys=[assignee_id], lazy="joined")
    closed_by: Mapped[User | None] = relationship(foreign_keys=[closed_by_id], lazy="joined")

    @property
    def reference(self) -> str:
        """`group/project#1`."""
        return f"{self.project.full_path}#{self.iid}"

    def is_of(self, user_id: int | None) -> bool:
        """Whether this user wrote it or is to do it."""
        return user_id is not None and user_id in (self.author_id, self.assignee_id)


def next_issue_iid(project: Project) -> int:
    """The project's next number, which is never given out again; call it under the write lock."""
    number = int(project.settings.get("_last_issue", 0)) + 1
    project.settings = {**project.settings, "_last_issue": number}
    return number


def find_issue(session: Session, project_id: int, iid: int) -> Issue | None:
    """The project's issue of this number."""
    return session.scalars(select(Issue).where(Issue.project_id == project_id, Issue.iid == iid)).first()
