"""Freeze periods: when a project is not to be deployed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from infra.lab.gitlab.cron import Cron
from infra.lab.gitlab.store.base import Base, Identified, now


class FreezePeriod(Identified, Base):
    """From one cron expression's time to the next of another."""

    __tablename__ = "freeze_period"

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"), index=True)
    freeze_start: Mapped[str]
    freeze_end: Mapped[str]
    cron_timezone: Mapped[str] = mapped_column(default="UTC")
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)

    def covers(self, moment: datetime) -> bool:
        """Whether `moment` is in the last period that has begun."""
        begun = Cron.parse(self.freeze_start, self.cron_timezone).before(moment)
        ends = Cron.parse(self.freeze_end, self.cron_timezone).after(begun) if begun else None
        return ends is not None and moment <= ends


def frozen(session: Session, project_id: int, moment: datetime) -> bool:
    """Whether one of the project's freeze periods covers `moment`."""
    periods = session.scalars(select(FreezePeriod).where(FreezePeriod.project_id == project_id))
    return any(period.covers(moment) for period in periods)
