"""People and bots."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from infra.lab.gitlab.store.base import Base, Identified, now

_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**14, 8, 1


class UserState(StrEnum):
    """Only active users can sign in or use a token."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    BANNED = "banned"
    DEACTIVATED = "deactivated"


class User(Identified, Base):
    """A person, or the bot behind a project or group access token."""

    __tablename__ = "user"

    username: Mapped[str] = mapped_column(String(255, collation="NOCASE"), unique=True)
    email: Mapped[str] = mapped_column(String(255, collation="NOCASE"), unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    admin: Mapped[bool] = mapped_column(default=False)
    bot: Mapped[bool] = mapped_column(default=False)
    external: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(default=UserState.ACTIVE)
    profile: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Fields that are only stored and given back: bio, location, note, …"""
    created_at: Mapped[datetime] = mapped_column(default=now)
    created_by_id: Mapped[int | None]
    last_sign_in_at: Mapped[datetime | None]
    last_activity_at: Mapped[datetime | None]


def hash_password(password: str) -> str:
    """`scrypt$SALT$HASH`, both in hex."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def password_matches(password: str, stored: str | None) -> bool:
    """Whether `stored` came from `hash_password(password)`. Takes as long for a user without a password."""
    salt, expected = (bytes.fromhex(part) for part in stored.split("$")[1:]) if stored else (bytes(16), bytes(64))
    return hmac.compare_digest(_scrypt(password, salt), expected) and stored is not None


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, dklen=64)
