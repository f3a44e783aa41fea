"""Files that jobs leave behind: the archive and the reports. The bytes are on disk, see `pipelines.artifact_file`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.job import Job


class Artifact(Identified, Base):
    """One file of a job; a job has one of each type."""

    __tablename__ = "artifact"
    __table_args__ = (Index("artifact_job_type", "job_id", "file_type", unique=True), {"sqlite_autoincrement": True})

    job_id: Mapped[int] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"))
    file_type: Mapped[str]
    file_format: Mapped[str]
    filename: Mapped[str]
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    expire_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    job: Mapped[Job] = relationship(lazy="select")

    @property
    def expired(self) -> bool:
        """Whether its time is over; the file goes with the next sweep."""
        return self.expire_at is not None and self.expire_at <= now()
