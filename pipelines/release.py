"""A pipeline release as data: its files, the lock that names their hashes, and how two sets of files differ.

A file's header says what made it; below the header is what GitLab reads. Two files mean the same when what is below
their headers has the same hash.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.core.document import place, read_text
from infra.core.error import BadInputError
from infra.core.finding import Finding
from pipelines.catalogue import PIPELINE_VERSION, Catalogue, Service
from pipelines.render import LOCK

_MADE_BY: Final = re.compile(
    r"templates sha256 (?P<templates>[0-9a-f]{64}).*inputs sha256 (?P<inputs>[0-9a-f]{64})", re.DOTALL
)


class Lock(BaseModel):
    """`release.lock.json`: the SHA-256 of every other file of the release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str
    sha256: Mapping[str, str]


class Effect(StrEnum):
    """What a new set of files does to one of them."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    HEADER = "header"
    """Only the header differs: other templates or inputs made the same pipeline."""


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """A file that is not the same in two sets. `added` and `removed` count lines below the header."""

    path: str
    effect: Effect
    added: int = 0
    removed: int = 0

    @property
    def service(self) -> str:
        """The service whose pipeline the file is."""
        return self.path.removesuffix(".yml")

    def __str__(self) -> str:
        lines = f" (+{self.added} -{self.removed} lines)" if self.effect is Effect.CHANGED else ""
        only = "the header of " if self.effect is Effect.HEADER else ""
        return f"{'changed' if only else self.effect}: {only}{self.path}{lines}"

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the change's fields."""
        return {**vars(self), "service": self.service}


@dataclass(frozen=True)
class Origin:
    """What a file's header says that made it: hashes of the templates and of what was put into them."""

    templates: str
    inputs: str


def version_key(version: str) -> tuple[int, ...]:
    """What versions are ordered by."""
    return tuple(int(number) for number in version.removeprefix("v").split("."))


def is_version(text: str) -> bool:
    """Whether the text is the name of a release."""
    return re.fullmatch(PIPELINE_VERSION.strip("^$"), text) is not None


def newest(versions: Collection[str]) -> str | None:
    """The highest of the versions, or None where there is none."""
    return max(versions, key=version_key, default=None)


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[FileChange, ...]:
    """The pipelines that differ between two sets of files, in the order of their paths. The lock is not looked at."""
    changes: list[FileChange] = []
    for path in sorted({*before, *after} - {LOCK}):
        if path not in before:
            changes.append(FileChange(path=path, effect=Effect.ADDED))
        elif path not in after:
            changes.append(FileChange(path=path, effect=Effect.REMOVED))
        elif meaning(before[path]) != meaning(after[path]):
            added, removed = _lines(before[path], after[path])
            changes.append(FileChange(path=path, effect=Effect.CHANGED, added=added, removed=removed))
        elif before[path] != after[path]:
            changes.append(FileChange(path=path, effect=Effect.HEADER))
    return tuple(changes)


def same_or_new(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The files `before`, if they are of the same release as those `after` and differ in headers only; else `after`.

    What changes no pipeline, such as a service's description, takes no new version.
    """
    same_release = LOCK in before and _release_of(before[LOCK]) == _release_of(after[LOCK])
    only_headers = all(change.effect is Effect.HEADER for change in compare(before, after))
    return dict(before if same_release and only_headers else after)


def _release_of(lock: str) -> str | None:
    try:
        return Lock.model_validate_json(lock).release
    except ValidationError:
        return None


def meaning(text: str) -> str:
    """The SHA-256 of what is below the file's header."""
    return hashlib.sha256("".join(_below_header(text)).encode()).hexdigest()


def origin(text: str) -> Origin | None:
    """What the file's header says that made it, or None where it says nothing."""
    lines = text.splitlines(keepends=True)
    found = _MADE_BY.search("".join(lines[: len(lines) - len(_below_header(text))]))
    return Origin(found["templates"], found["inputs"]) if found else None


def altered(files: Mapping[str, str], version: str) -> dict[str, str]:
    """What is wrong with a release's files against their own lock, by path; nothing where all is as it was made."""
    if LOCK not in files:
        return {LOCK: "is not there"}
    try:
        lock = Lock.model_validate_json(files[LOCK])
    except ValidationError:
        return {LOCK: "is not a lock"}
    wrong = {} if lock.release == version else {LOCK: f"is the lock of {lock.release}"}
    for path in sorted({*files, *lock.sha256} - {LOCK}):
        if path not in files:
            wrong[path] = "is not there"
        elif path not in lock.sha256:
            wrong[path] = f"is not in {LOCK}"
        elif hashlib.sha256(files[path].encode()).hexdigest() != lock.sha256[path]:
            wrong[path] = f"is not what {LOCK} says"
    return wrong


def unpublished_pins(catalogue: Catalogue, known: Collection[str]) -> Iterator[Finding]:
    """Services whose pinned release is none of the `known` ones, at the line that pins it."""
    for service in catalogue:
        if service.pipeline not in known:
            yield _unpublished(catalogue, service)


def _unpublished(catalogue: Catalogue, service: Service) -> Finding:
    path = catalogue.sources[service.name]
    line, column = place(read_text(path), ("pipeline",))
    return Finding(
        rule="unpublished-release",
        message=f"pipeline: this GitLab has no pipeline release {service.pipeline}",
        file=str(path),
        line=line,
        column=column,
        fix=f"pin {catalogue.release}, which this checkout makes, or publish {service.pipeline} first from the commit "
        "that made it",
    )


def named_version(catalogue: Catalogue, wanted: str | None, file: str) -> str:
    """The version to be released: the one in `file`, which is also `wanted` where that is given.

    Raises BadInputError where they differ: what the headers say is what `file` says.
    """
    if wanted is not None and not is_version(wanted):
        raise BadInputError(f"{wanted!r} is not a version", fix="write vX.Y.Z, such as v1.2.0")
    if wanted is not None and wanted != catalogue.release:
        raise BadInputError(
            f"this checkout makes {catalogue.release}, not {wanted}", where=file, fix=f"set `version: {wanted}` there"
        )
    return catalogue.release


def _below_header(text: str) -> list[str]:
    lines = text.splitlines(keepends=True)
    first = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[first:]


def _lines(before: str, after: str) -> tuple[int, int]:
    difference = list(difflib.ndiff(_below_header(before), _below_header(after)))
    return sum(line.startswith("+ ") for line in difference), sum(line.startswith("- ") for line in difference)
