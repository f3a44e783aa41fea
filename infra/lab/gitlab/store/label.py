"""Labels of projects and groups. Merge requests carry their names."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from infra.lab.gitlab.store.base import Base, Identified, now


class Label(Identified, Base):
    """A label of a project, or of a group and all projects below it."""

    __tablename__ = "label"

    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    group_id: Mapped[int | None] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    color: Mapped[str]
    """`#RRGGBB`."""
    description: Mapped[str | None]
    priority: Mapped[int | None]
    subscribers: Mapped[list[Any]] = mapped_column(default=list)
    """Ids of users."""
    created_at: Mapped[datetime] = mapped_column(default=now)

    @property
    def text_color(self) -> str:
        """White, or GitLab's near-black on a light colour."""
        red, green, blue = (int(self.color[at : at + 2], 16) for at in (1, 3, 5))
        return "#1F1E24" if red * 299 + green * 587 + blue * 114 > 128_000 else "#FFFFFF"


Index("label_name", func.coalesce(Label.project_id, 0), func.coalesce(Label.group_id, 0), Label.name, unique=True)
