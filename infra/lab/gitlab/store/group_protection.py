"""Protected branches of a group: rules for the projects of the whole group."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from infra.lab.gitlab.store.base import Base, Identified


class GroupProtection(Identified, Base):
    """One rule: the least roles that may push and merge (0: no one)."""

    __tablename__ = "group_protection"
    __table_args__ = (
        Index("group_protection_name", "group_id", "name", unique=True),
        {"sqlite_autoincrement": True},
    )

    group_id: Mapped[int] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"))
    name: Mapped[str]
    push_level: Mapped[int]
    merge_level: Mapped[int]
    allow_force_push: Mapped[bool] = mapped_column(default=False)


def group_protections(session: Session, group_ids: Iterable[int]) -> list[GroupProtection]:
    """The rules of these groups."""
    wanted = select(GroupProtection).where(GroupProtection.group_id.in_(list(group_ids)))
    return list(session.scalars(wanted.order_by(GroupProtection.name)))
