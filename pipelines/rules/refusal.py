"""What GitLab itself would refuse, in its own words, sorted by the rules that look after each kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from pipelines.language.error import ConfigError
from pipelines.rules.rule import Spot
from pipelines.script import Location
from pipelines.subject import Subject

OTHER: Final = "configuration"

_KINDS: Final = (
    ("needs-undefined", re.compile(r" job: undefined need: ")),
    ("dependency-undefined", re.compile(r" job: undefined dependency: |dependencies the .* should be part of needs")),
    ("needs-later-stage", re.compile(r"is not defined in current or prior stages")),
    ("needs-cycle", re.compile(r"The pipeline has circular dependencies")),
    ("needs-excluded", re.compile(r"does not exist in the pipeline")),
    ("stage-undeclared", re.compile(r" job: chosen stage ")),
    ("extends-undefined", re.compile(r"in `extends`|extends should be")),
    ("on-stop-undefined", re.compile(r" job: on_stop job ")),
    ("environment-bad", re.compile(r"^jobs:.*:environment")),
    ("timeout-bad", re.compile(r"^(jobs:.*|default):timeout ")),
    ("rules-syntax", re.compile(r"^(jobs:.*|workflow|include):rules|rules should be|invalid expression syntax")),
    ("script-missing", re.compile(r"script can't be blank|config should implement the script:")),
)
_PLACE = re.compile(r"^(?:`(?P<file>[^`]+)`: )?.* at line (?P<line>\d+) column (?P<column>\d+)$", re.S)
_INCLUDE = re.compile(r"(?i)include|^local file|^project `")
_KEY = re.compile(r"[: ]([a-z_]+)")
_KEYS = (("`extends`", "extends"), ("needs duplicated", "needs"), ("include", "include"))
"""Words by which a message shows the key that it is about, where it does not name it first."""


def messages(subject: Subject) -> list[str]:
    """Everything that makes GitLab refuse the file, on any occasion."""
    found: list[str] = [message for message in subject.problems if is_about_includes(message)]
    if not subject.problems:
        for result in (subject.configuration, *subject.pipelines.values()):
            if isinstance(result, ConfigError):
                found += result.messages
    return list(dict.fromkeys(found))


def is_about_includes(message: str) -> bool:
    """Whether the file itself can be read, and what it includes can't be had."""
    return _INCLUDE.search(message) is not None and _PLACE.match(message) is None


def kind(message: str) -> str:
    """The id of the rule that looks after a message."""
    return next((name for name, pattern in _KINDS if pattern.search(message)), OTHER)


def refusals(subject: Subject, name: str) -> Iterator[Spot]:
    """The messages that belong to the rule `name`."""
    for message in messages(subject):
        if kind(message) == name:
            yield Spot(message=f"GitLab refuses this: {message}", location=locate(subject, message))


def with_refusals(subject: Subject, name: str, spots: Iterable[Spot]) -> Iterator[Spot]:
    """`spots`, or where there are none what GitLab says: it may see more than the rule does."""
    seen = False
    for spot in spots:
        seen = True
        yield spot
    if not seen:
        yield from refusals(subject, name)


def locate(subject: Subject, message: str) -> Location:
    """The place that a message speaks of, as near as it says."""
    place = _PLACE.match(message)
    if place:
        return Location(file=place["file"] or subject.file, line=int(place["line"]), column=int(place["column"]))
    lowered = message.lower()
    shown = next((key for words, key in _KEYS if words in lowered), None)
    for job in sorted(subject.jobs, key=len, reverse=True):
        name = job.lower()
        for start in (f"jobs:{name}", f"jobs {name}", f"{name} job:", f"{name}:", f"'{name}' job", f"{name} has"):
            if lowered.startswith(start):
                named = _KEY.match(lowered, len(start))
                key = shown or (named[1] if named else None)
                return subject.at(job, key) if key else subject.at(job)
    first = re.match(r"[a-z_]+", lowered)
    key = shown or (first[0] if first else None)
    return subject.at(key) if key else subject.at()
