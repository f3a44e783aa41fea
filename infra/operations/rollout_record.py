"""What a roll-out did so far, kept in the state folder: a killed one is finished by it, and one is taken back by it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from infra.core.document import load, write_text
from infra.core.settings import Settings

FILE = "rollout.json"


class Progressed(StrEnum):
    """How far a service is."""

    MOVING = "moving"
    """Its file or its project may have changed already."""
    RUNNING = "running"
    """It is on the new release, and its pipeline was started."""
    GREEN = "green"
    RED = "red"
    RETURNED = "returned"
    """It is on the release that it had before; its pipeline is not known to be green there."""
    BACK = "back"
    """It is on the release that it had before, and green there."""


class Moved(BaseModel):
    """A service of the roll-out. `before` is the release that it had; `pipeline` GitLab's id of the one started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wave: str
    before: str
    progress: Progressed
    pipeline: int | None = None


class Record(BaseModel):
    """The last roll-out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    services: Mapping[str, Moved] = {}

    @property
    def unfinished(self) -> dict[str, Moved]:
        """The services that were begun, are not green, and have not returned."""
        ended = {Progressed.GREEN, Progressed.RETURNED, Progressed.BACK}
        return {name: moved for name, moved in self.services.items() if moved.progress not in ended}

    def having(self, name: str, moved: Moved) -> Self:
        """The record with a service's progress."""
        return self.model_copy(update={"services": {**self.services, name: moved}})


class RecordFile:
    """Where the record is. It is written as a whole, so that a kill leaves the old one or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The record of this stack."""
        return cls(settings.state / FILE)

    def read(self) -> Record | None:
        """The last roll-out, or None where there was none. Raises InvalidDocumentError for a file that is no record."""
        return load(self._path, Record) if self._path.exists() else None

    def write(self, record: Record) -> None:
        """Keeps the record."""
        write_text(self._path, record.model_dump_json(indent=2) + "\n")
