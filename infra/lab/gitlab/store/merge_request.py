"""Merge requests: from one branch of a project into another of the same project."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User

_DRAFT = re.compile(r"\s*(?:\[draft\]|\(draft\)|draft:)", re.IGNORECASE)


class MergeRequestState(StrEnum):
    """What has become of it."""

    OPENED = "opened"
    CLOSED = "closed"
    MERGED = "merged"


class MergeRequest(Identified, Base):
    """A merge request. Its commits are those from `base_sha` to `head_sha`, also when the branches are gone."""

    __tablename__ = "merge_request"
    __table_args__ = (
        Index("merge_request_iid", "project_id", "iid", unique=True),
        {"sqlite_autoincrement": True},
    )

    iid: Mapped[int]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    author_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    title: Mapped[str]
    description: Mapped[str | None]
    source_branch: Mapped[str]
    target_branch: Mapped[str]
    state: Mapped[str] = mapped_column(default=MergeRequestState.OPENED)
    head_sha: Mapped[str]
    """The source branch's last commit."""
    base_sha: Mapped[str | None]
    """The merge base with the target branch when one of the two last moved; None: they have nothing in common."""
    labels: Mapped[list[str]] = mapped_column(default=list)
    squash: Mapped[bool] = mapped_column(default=False)
    remove_source_branch: Mapped[bool] = mapped_column(default=False)
    auto_merge: Mapped[bool] = mapped_column(default=False)
    """It is to be merged when its pipeline succeeds, as `merge_parameters` says, in the name of `merge_user_id`."""
    merge_parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    merge_error: Mapped[str | None]
    merge_user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    merge_commit_sha: Mapped[str | None]
    """What the target branch is moved to: noted before it moves, so that a crash between the two loses nothing."""
    squash_commit_sha: Mapped[str | None]
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    merged_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    project: Mapped[Project] = relationship(lazy="joined", innerjoin=True)
    author: Mapped[User | None] = relationship(foreign_keys=[author_id], lazy="joined")
    merge_user: Mapped[User | None] = relationship(foreign_keys=[merge_user_id], lazy="joined")
    closed_by: Mapped[User | None] = relationship(foreign_keys=[closed_by_id], lazy="joined")

    @property
    def open(self) -> bool:
        """Neither closed nor merged."""
        return self.state == MergeRequestState.OPENED

    @property
    def draft(self) -> bool:
        """Its title says that it isn't to be merged yet."""
        return _DRAFT.match(self.title) is not None

    @property
    def ref_path(self) -> str:
        """The ref that holds its head, `refs/merge-requests/1/head`."""
        return f"refs/merge-requests/{self.iid}/head"

    @property
    def reference(self) -> str:
        """`group/project!1`."""
        return f"{self.project.full_path}!{self.iid}"


def next_merge_request_iid(session: Session, project_id: int) -> int:
    """The project's next number; call it under the write lock."""
    last = session.scalar(select(func.max(MergeRequest.iid)).where(MergeRequest.project_id == project_id))
    return (last or 0) + 1


def find_merge_request(session: Session, project_id: int, iid: int) -> MergeRequest | None:
    """The project's merge request of this number."""
    return session.scalars(
        select(MergeRequest).where(MergeRequest.project_id == project_id, MergeRequest.iid == iid)
    ).first()


def open_merge_requests(
    session: Session, project_id: int, *, source: str | None = None, target: str | None = None
) -> list[MergeRequest]:
    """The open ones from or into a branch, the oldest first."""
    statement = select(MergeRequest).where(
        MergeRequest.project_id == project_id, MergeRequest.state == MergeRequestState.OPENED
    )
    if source is not None:
        statement = statement.where(MergeRequest.source_branch == source)
    if target is not None:
        statement = statement.where(MergeRequest.target_branch == target)
    return list(session.scalars(statement.order_by(MergeRequest.id)))
