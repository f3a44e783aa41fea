"""What an update does, as data: what a preview prints is what an update carries out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from infra.core.candidate import Candidate, Verdict


def urn_name(urn: str) -> str:
    """A resource's own name."""
    return urn.rpartition("::")[2]


def urn_type(urn: str) -> str:
    """A resource's own type, without its parents'."""
    return urn.split("::")[2].rpartition("$")[2]


class Op(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    """It leaves the state, and stays where it is."""


@dataclass(frozen=True, kw_only=True, order=True)
class Change:
    """A resource that changes. `kind` is its type, `fields` what differs (when updated or replaced)."""

    stack: str
    op: Op
    kind: str
    name: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        fields = f" [{', '.join(self.fields)}]" if self.fields else ""
        return f"{self.op} {self.kind.removeprefix('forgeline:')} {self.name}{fields}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an update of one stack does or did. `skipped`: nothing had changed, so no engine was started."""

    stack: str
    changes: tuple[Change, ...] = ()
    skipped: bool = False


def changes_of(plans: Iterable[Plan]) -> tuple[Change, ...]:
    """The changes of all the plans, in their order."""
    return tuple(change for plan in plans for change in plan.changes)


@dataclass(frozen=True, kw_only=True)
class Drift:
    """A field whose value on the server is not the one in the state; `field` is empty where the whole thing is gone."""

    stack: str
    urn: str
    field: str
    expected: object
    actual: object

    def __str__(self) -> str:
        name = self.urn.rpartition("::")[2]
        if not self.field:
            return f"{self.stack}: {name} is gone"
        return f"{self.stack}: {name}: {self.field} is {self.actual!r}, not {self.expected!r}"


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What adopting a stack means: every declared resource that its state does not know."""

    stack: str
    candidates: tuple[Candidate, ...]
    parents: Mapping[str, str]
    """The parent of everything that the state does not know, components too, by URN."""

    @property
    def told(self) -> str:
        """What was found, in a few words."""
        counts = Counter(one.verdict for one in self.candidates)
        return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]) or "nothing new"

    def taken(self, *, different: bool) -> tuple[Candidate, ...]:
        """What is taken into the state; with `different`, also what is not as declared."""
        verdicts = {Verdict.EQUAL, Verdict.DIFFERENT} if different else {Verdict.EQUAL}
        return tuple(one for one in self.candidates if one.verdict in verdicts)
