"""Releases: notes and links at a tag."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.user import User


class Release(Identified, Base):
    """A release. Its tag may be deleted under it."""

    __tablename__ = "release"
    __table_args__ = (
        Index("release_tag", "project_id", "tag", unique=True),
        {"sqlite_autoincrement": True},
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    tag: Mapped[str]
    sha: Mapped[str]
    name: Mapped[str]
    description: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    released_at: Mapped[datetime] = mapped_column(default=now)

    author: Mapped[User | None] = relationship(lazy="joined")
    links: Mapped[list[ReleaseLink]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by="ReleaseLink.id.desc()"
    )


class ReleaseLink(Identified, Base):
    """An asset of a release, kept elsewhere."""

    __tablename__ = "release_link"

    release_id: Mapped[int] = mapped_column(ForeignKey("release.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    url: Mapped[str]
    path: Mapped[str | None]
    link_type: Mapped[str] = mapped_column(default="other")


def find_release(session: Session, project_id: int, tag: str) -> Release | None:
    """The release of a tag."""
    return session.scalars(select(Release).where(Release.project_id == project_id, Release.tag == tag)).first()
