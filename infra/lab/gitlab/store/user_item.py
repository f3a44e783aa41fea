"""What a user keeps besides a profile: SSH keys, GPG keys, further e-mail addresses."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from infra.lab.gitlab.store.base import Base, Identified, now


class ItemKind(StrEnum):
    """What it is, as the API's paths call it."""

    SSH_KEY = "keys"
    GPG_KEY = "gpg_keys"
    EMAIL = "emails"


class UserItem(Identified, Base):
    """A key or an address. `value` is nobody else's."""

    __tablename__ = "user_item"
    __table_args__ = (
        Index("user_item_value", "kind", "value", unique=True),
        {"sqlite_autoincrement": True},
    )

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    value: Mapped[str]
    title: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
