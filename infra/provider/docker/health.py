"""How an engine sees whether a container is of use."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

NANO = 1_000_000_000


class Health(BaseModel):
    """A command that is run inside from time to time; its failure means that the container is not well."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: list[str] = Field(min_length=1)
    interval_seconds: float = Field(default=5, ge=0.001)
    timeout_seconds: float = Field(default=5, ge=0.001)
    retries: int = Field(default=3, ge=1)
    start_seconds: float = Field(default=0, ge=0)
    """For how long after the start a failure counts for nothing."""

    def as_engine(self) -> dict[str, Any]:
        """As the engine has it: times in nanoseconds."""
        return {
            "test": ["CMD", *self.command],
            "interval": round(self.interval_seconds * NANO),
            "timeout": round(self.timeout_seconds * NANO),
            "retries": self.retries,
            "start_period": round(self.start_seconds * NANO),
        }

    @classmethod
    def of(cls, engine: dict[str, Any] | None) -> dict[str, Any] | None:
        """The fields of what an engine has; None for none."""
        if not engine or engine.get("Test", ["NONE"])[0] != "CMD":
            return None
        return cls(
            command=engine["Test"][1:],
            interval_seconds=engine.get("Interval", 0) / NANO or 30,
            timeout_seconds=engine.get("Timeout", 0) / NANO or 30,
            retries=engine.get("Retries") or 3,
            start_seconds=engine.get("StartPeriod", 0) / NANO,
        ).model_dump(mode="json")
