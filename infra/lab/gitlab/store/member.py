"""Members of groups and projects, and groups that a project or group is shared with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.namespace import Namespace
from infra.lab.gitlab.store.user import User

_ONE_TARGET = "(project_id IS NULL) <> (group_id IS NULL)"


class Member(Identified, Base):
    """A user's role in one project or one group."""

    __tablename__ = "member"
    __table_args__ = (
        CheckConstraint(_ONE_TARGET),
        Index("member_project_user", "project_id", "user_id", unique=True),
        Index("member_group_user", "group_id", "user_id", unique=True),
        {"sqlite_autoincrement": True},
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"))
    access_level: Mapped[int]
    expires_at: Mapped[str | None] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by_id: Mapped[int | None]

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class Share(Identified, Base):
    """A project or group whose access is also given to the members of another group, up to a role."""

    __tablename__ = "share"
    __table_args__ = (
        CheckConstraint(_ONE_TARGET),
        Index("share_project", "project_id", "shared_with_id", unique=True),
        Index("share_group", "group_id", "shared_with_id", unique=True),
        {"sqlite_autoincrement": True},
    )

    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"))
    shared_with_id: Mapped[int] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"), index=True)
    access_level: Mapped[int]
    expires_at: Mapped[str | None] = mapped_column(String(10))

    shared_with: Mapped[Namespace] = relationship(foreign_keys=[shared_with_id], lazy="joined", innerjoin=True)
