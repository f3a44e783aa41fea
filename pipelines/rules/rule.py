"""What a rule is: a function that finds what is wrong, with its name, weight and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from infra.core.finding import Finding, Severity
from pipelines.script import Location
from pipelines.subject import Subject


@dataclass(frozen=True, kw_only=True)
class Spot:
    """One thing that is wrong, at its place. `fix` is there where a better remedy than the rule's is known."""

    message: str
    location: Location
    fix: str = ""
    severity: Severity | None = None
    """Where it is not the rule's."""


Find = Callable[[Subject], Iterable[Spot]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule. `standard` ones are about Forgeline's own pipelines, the others hold for anybody's."""

    id: str
    remedy: str
    severity: Severity
    standard: bool
    find: Find

    @property
    def summary(self) -> str:
        """What must be true, in one sentence."""
        return (self.find.__doc__ or "").partition("\n\n")[0].replace("\n    ", " ").strip()

    def findings(self, subject: Subject) -> Iterator[Finding]:
        """Everything that the rule finds in `subject`."""
        for spot in self.find(subject):
            yield Finding(
                rule=self.id,
                message=spot.message,
                file=spot.location.file,
                line=spot.location.line,
                column=spot.location.column,
                fix=spot.fix or self.remedy,
                severity=spot.severity or self.severity,
            )


def rule(
    name: str, *, remedy: str, severity: Severity = Severity.ERROR, standard: bool = False
) -> Callable[[Find], Rule]:
    """Makes a rule of the function below it, whose docstring says what must be true."""

    def made(find: Find) -> Rule:
        return Rule(id=name, remedy=remedy, severity=severity, standard=standard, find=find)

    return made
