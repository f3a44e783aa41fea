"""Access tokens: kept as SHA-256 of the token, shown once when made.

A plain hash is enough because a token is 20 random bytes, not something a person chose.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.user import User

PERSONAL_PREFIX = "glpat-"
DEPLOY_PREFIX = "gldt-"


class TokenKind(StrEnum):
    """Who an access token belongs to. Project and group tokens act as a bot user of their own."""

    PERSONAL = "personal"
    IMPERSONATION = "impersonation"
    PROJECT = "project"
    GROUP = "group"


class _Expiring:
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(default=list)
    revoked: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[str | None] = mapped_column(String(10))
    """The day on which it stops working, `2026-01-31`; none: never."""

    @property
    def expired(self) -> bool:
        """Whether its day has come (UTC)."""
        return self.expires_at is not None and date.fromisoformat(self.expires_at) <= now().date()

    @property
    def active(self) -> bool:
        """Neither revoked nor expired."""
        return not self.revoked and not self.expired


class AccessToken(_Expiring, Identified, Base):
    """A personal, impersonation, project or group access token."""

    __tablename__ = "access_token"

    kind: Mapped[str] = mapped_column(default=TokenKind.PERSONAL)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"), index=True)
    access_level: Mapped[int | None]
    name: Mapped[str]
    description: Mapped[str | None]
    last_used_at: Mapped[datetime | None]
    created_by_id: Mapped[int | None]

    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class DeployToken(_Expiring, Identified, Base):
    """Opens a project's or group's repositories and packages, not the API."""

    __tablename__ = "deploy_token"

    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    username: Mapped[str]
    creator_id: Mapped[int | None]


def new_token(prefix: str) -> str:
    """A token that nobody can guess."""
    return prefix + secrets.token_urlsafe(20)


def digest_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()
