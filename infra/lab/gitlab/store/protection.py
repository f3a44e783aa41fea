"""Protected branches and tags: a name or wildcard, and who may push, merge, unprotect or create."""

from __future__ import annotations

import re
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified
from infra.lab.gitlab.store.group_protection import GroupProtection, group_protections
from infra.lab.gitlab.store.project import Project


class RefKind(StrEnum):
    """What a rule protects."""

    BRANCH = "branch"
    TAG = "tag"


class Action(StrEnum):
    """What an access entry allows; `create` is for tags, the others for branches."""

    PUSH = "push"
    MERGE = "merge"
    UNPROTECT = "unprotect"
    CREATE = "create"


class Protection(Identified, Base):
    """One rule. `name` may hold `*`, which stands for any characters."""

    __tablename__ = "protection"
    __table_args__ = (
        Index("protection_name", "project_id", "kind", "name", unique=True),
        {"sqlite_autoincrement": True},
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    kind: Mapped[str]
    name: Mapped[str]
    allow_force_push: Mapped[bool] = mapped_column(default=False)

    access: Mapped[list[ProtectionAccess]] = relationship(
        back_populates="protection", cascade="all, delete-orphan", lazy="selectin", order_by="ProtectionAccess.id"
    )

    def matches(self, name: str) -> bool:
        """Whether the rule covers a branch or tag."""
        return re.fullmatch(".*".join(map(re.escape, self.name.split("*"))), name) is not None

    def entries(self, action: Action) -> list[ProtectionAccess]:
        """Who may do this; any one is enough."""
        return [entry for entry in self.access if entry.action == action]


class ProtectionAccess(Identified, Base):
    """A role (0: no one), or one user, that may do something."""

    __tablename__ = "protection_access"

    protection_id: Mapped[int] = mapped_column(ForeignKey("protection.id", ondelete="CASCADE"), index=True)
    action: Mapped[str]
    access_level: Mapped[int | None]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"))

    protection: Mapped[Protection] = relationship(back_populates="access")


def protections_of(session: Session, project_id: int, kind: RefKind, name: str) -> list[Protection]:
    """The rules that cover a branch or tag, also those of the project's groups; none: it is not protected."""
    return [rule for rule in all_protections(session, project_id, kind) if rule.matches(name)]


def all_protections(session: Session, project_id: int, kind: RefKind) -> list[Protection]:
    """The rules for branches or tags of a project, also those of its groups."""
    rules = list(
        session.scalars(select(Protection).where(Protection.project_id == project_id, Protection.kind == kind))
    )
    project = session.get(Project, project_id) if kind == RefKind.BRANCH else None
    if project is not None:
        rules += [from_group(rule) for rule in group_protections(session, (g.id for g in project.namespace.lineage()))]
    return rules


def from_group(rule: GroupProtection) -> Protection:
    """A group's rule as its projects see it; it is not stored."""
    levels = {Action.PUSH: rule.push_level, Action.MERGE: rule.merge_level}
    return Protection(
        kind=RefKind.BRANCH,
        name=rule.name,
        allow_force_push=rule.allow_force_push,
        access=[ProtectionAccess(action=action, access_level=level) for action, level in levels.items()],
    )
