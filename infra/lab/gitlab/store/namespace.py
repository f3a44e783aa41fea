"""Namespaces: groups, and the personal namespace of each user. Both draw on one sequence of ids, as in GitLab."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now


class NamespaceKind(StrEnum):
    """What a namespace is."""

    GROUP = "group"
    USER = "user"


class Visibility(StrEnum):
    """Who may see a group or project without being a member."""

    PRIVATE = "private"
    INTERNAL = "internal"
    PUBLIC = "public"

    @property
    def rank(self) -> int:
        """How open it is: private 0, internal 10, public 20."""
        return {"private": 0, "internal": 10, "public": 20}[self.value]


class Namespace(Identified, Base):
    """A group (`kind` group) or a user's personal namespace."""

    __tablename__ = "namespace"

    kind: Mapped[str] = mapped_column(default=NamespaceKind.GROUP)
    name: Mapped[str]
    path: Mapped[str]
    full_path: Mapped[str] = mapped_column(String(collation="NOCASE"), unique=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"), index=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    """The user of a personal namespace."""
    description: Mapped[str] = mapped_column(default="")
    visibility: Mapped[str] = mapped_column(default=Visibility.PRIVATE)
    archived: Mapped[bool] = mapped_column(default=False)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What was set of the fields that are only stored and given back."""
    created_at: Mapped[datetime] = mapped_column(default=now)

    parent: Mapped[Namespace | None] = relationship(remote_side="Namespace.id", lazy="select")

    @property
    def is_group(self) -> bool:
        """A group, not a personal namespace."""
        return self.kind == NamespaceKind.GROUP

    @property
    def full_name(self) -> str:
        """The names from the root down, `Platform / Tools`."""
        return " / ".join(reversed([namespace.name for namespace in self.lineage()]))

    def lineage(self) -> Iterator[Namespace]:
        """This namespace, its parent, and so on up to the root."""
        current: Namespace | None = self
        while current is not None:
            yield current
            current = current.parent


def find_namespace(session: Session, key: str | int, *, kind: NamespaceKind | None = None) -> Namespace | None:
    """The namespace with this id or full path (case does not matter)."""
    statement = select(Namespace)
    text = str(key)
    statement = statement.where(Namespace.id == int(text) if text.isdecimal() else Namespace.full_path == text)
    if kind is not None:
        statement = statement.where(Namespace.kind == kind)
    return session.scalars(statement).first()


def descendants(session: Session, namespace: Namespace) -> list[Namespace]:
    """All groups below this one, at any depth."""
    prefix = namespace.full_path.lower() + "/"
    found = session.scalars(select(Namespace).where(Namespace.full_path.startswith(prefix, autoescape=True)))
    return [each for each in found if each.full_path.lower().startswith(prefix)]
