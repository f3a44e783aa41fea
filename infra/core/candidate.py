"""What a server has of a resource that is declared and that the state does not know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a server has of a resource that is declared."""

    EQUAL = "equal"
    DIFFERENT = "different"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A declared resource that the state does not know. `fields` are those that differ on the server."""

    urn: str
    id: str
    verdict: Verdict
    fields: tuple[str, ...] = ()
