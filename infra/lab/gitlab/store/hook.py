"""Webhooks of projects, and of the instance (those without a project)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from infra.lab.gitlab.store.base import Base, Identified, now


class Hook(Identified, Base):
    """A webhook. `settings` are its events and other fields, by the API's names."""

    __tablename__ = "hook"

    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    url: Mapped[str]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
