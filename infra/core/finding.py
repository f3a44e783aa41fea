"""One result of a rule or a check, with its place and its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a finding matters: an error stops the work, a warning is told, a note explains."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a rule found. `line` and `column` start at 1; 0 means the place is the whole file."""

    rule: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    fix: str = ""
    severity: Severity = Severity.ERROR

    @property
    def where(self) -> str:
        """`file:line:column`, as far as it is known."""
        place = self.file
        if self.line:
            place += f":{self.line}"
            if self.column:
                place += f":{self.column}"
        return place

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the finding's fields."""
        return {
            "rule": self.rule,
            "severity": str(self.severity),
            "message": self.message,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "fix": self.fix,
        }
