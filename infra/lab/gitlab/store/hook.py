"""Webhooks of projects, and of the instance (those without a project), and what came of calling them."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet
from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from infra.lab.gitlab.store.base import Base, Identified, now

if TYPE_CHECKING:
    from infra.lab.gitlab.instance import Instance

KEPT = 50
"""Calls of a hook that are kept."""
DEFAULT_EVENTS = frozenset({"push_events"})
"""What a project's hook is called for unless it says otherwise."""


class Hook(Identified, Base):
    """A webhook. `settings` are its events and other fields, by the API's names."""

    __tablename__ = "hook"

    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    url: Mapped[str]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sealed_token: Mapped[str | None]
    """What its receiver knows it by: sealed with a key of the instance, since it must be sent as it is."""
    created_at: Mapped[datetime] = mapped_column(default=now)

    def wants(self, event: str) -> bool:
        """Whether it is called for what this switch names."""
        return bool(self.settings.get(event, event in DEFAULT_EVENTS))

    def seal(self, instance: Instance, token: str | None) -> None:
        """Keep the token; an empty one takes it away."""
        self.sealed_token = _seal(instance).encrypt(token.encode()).decode() if token else None

    def token(self, instance: Instance) -> str | None:
        """The token, to be sent."""
        return _seal(instance).decrypt(self.sealed_token.encode()).decode() if self.sealed_token else None


class HookCall(Identified, Base):
    """A call of a hook that is still to be made: written with what it tells of, gone once it was made or given up."""

    __tablename__ = "hook_call"

    hook_id: Mapped[int] = mapped_column(ForeignKey("hook.id", ondelete="CASCADE"), index=True)
    key: Mapped[str]
    """By which a receiver knows a call that is made twice."""
    event: Mapped[dict[str, Any]]
    """`webhooks.event.Event`, as its fields."""


class HookLog(Identified, Base):
    """One call of a hook, with what was sent (without the token) and what came back."""

    __tablename__ = "hook_log"

    hook_id: Mapped[int] = mapped_column(ForeignKey("hook.id", ondelete="CASCADE"), index=True)
    url: Mapped[str]
    trigger: Mapped[str]
    request_headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    request_data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    response_headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    response_body: Mapped[str | None]
    response_status: Mapped[str]
    """The HTTP code, or `internal error` when there was no answer."""
    internal_error_message: Mapped[str | None]
    execution_duration: Mapped[float]
    """Seconds."""
    created_at: Mapped[datetime] = mapped_column(default=now)

    @staticmethod
    def sweep(session: Session, hook_id: int) -> None:
        """Forget the oldest calls of a hook."""
        newest = select(HookLog.id).where(HookLog.hook_id == hook_id).order_by(HookLog.id.desc()).limit(KEPT)
        session.execute(delete(HookLog).where(HookLog.hook_id == hook_id, HookLog.id.not_in(newest)))


def _seal(instance: Instance) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(instance.key("webhook-token")))
