"""One thing that was looked at before the work begins, and its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from infra.core.error import ForgelineError


class Verdict(StrEnum):
    """What a check says: missing stops `up`, a warning does not."""

    FINE = "fine"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at. `install` is the command that mends it, where a command can."""

    name: str
    verdict: Verdict
    found: str
    fix: str = ""
    install: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the check's fields."""
        return {"name": self.name, "verdict": str(self.verdict), "found": self.found, "fix": self.fix}


def fine(name: str, found: str) -> Check:
    """What is as it should be, or is only told."""
    return Check(name=name, verdict=Verdict.FINE, found=found)


def unanswered(name: str, error: ForgelineError) -> Check:
    """A server that can't be asked, or answers with what stops the work."""
    where = f"{error.where}: " if error.where else ""
    return Check(name=name, verdict=Verdict.MISSING, found=f"{where}{error.what}", fix=error.fix)
