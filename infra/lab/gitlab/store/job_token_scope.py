"""Which other projects' jobs may enter a project with their job token."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from infra.lab.gitlab.store.base import Base, Identified


class JobTokenGrant(Identified, Base):
    """An entry of a project's allowlist: one other project, or a group with all projects below it."""

    __tablename__ = "job_token_grant"
    __table_args__ = (
        CheckConstraint("(source_project_id IS NULL) <> (source_group_id IS NULL)"),
        Index("job_token_grant_project", "project_id", "source_project_id", unique=True),
        Index("job_token_grant_group", "project_id", "source_group_id", unique=True),
        {"sqlite_autoincrement": True},
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    source_project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    source_group_id: Mapped[int | None] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"))
