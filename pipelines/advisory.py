"""Known faults of packages: databases of advisories in OSV format, looked up by package and version.

The format is that of https://ossf.github.io/osv-schema/: a folder of JSON files, or the zip that osv.dev hands out for
an ecosystem. Nothing is fetched; which database is read is the profile's.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from infra.core.error import BadInputError
from pipelines.policy import Severity
from pipelines.sbom import Component, package

_ECOSYSTEMS: Final = {"golang": "Go", "maven": "Maven", "npm": "npm", "pypi": "PyPI"}

_QUALIFIERS: Final = {
    **dict.fromkeys(("dev",), -6),
    **dict.fromkeys(("a", "alpha"), -5),
    **dict.fromkeys(("b", "beta"), -4),
    **dict.fromkeys(("m", "milestone"), -3),
    **dict.fromkeys(("rc", "c", "cr", "pre", "preview"), -2),
    **dict.fromkeys(("snapshot",), -1),
    **dict.fromkeys(("final", "ga", "release"), 0),
}
"""Words in a version, by how far before the release they are."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A component that an advisory is about."""

    component: Component
    id: str
    aliases: tuple[str, ...]
    summary: str
    severity: Severity | None
    """None: nobody has rated it."""
    fixed: tuple[str, ...]
    """Versions without the fault, of the lines that have one."""

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the match's fields."""
        return {
            "component": self.component.label,
            "id": self.id,
            "aliases": list(self.aliases),
            "summary": self.summary,
            "severity": self.severity,
            "fixed": list(self.fixed),
        }


@dataclass(frozen=True)
class Advisories:
    """A database: its advisories by ecosystem and package, how many they are, and the day of the youngest."""

    where: str
    entries: Mapping[tuple[str, str], tuple[Mapping[str, Any], ...]]
    count: int
    modified: str

    @classmethod
    def load(cls, path: Path) -> Self:
        """The database in the folder or zip `path`. Raises BadInputError for one that can't be read or has none."""
        found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        ids: dict[str, str] = {}
        for name, text in _documents(path):
            advisory = _advisory(text, f"{path}: {name}")
            if advisory.get("withdrawn"):
                continue
            ids[str(advisory["id"])] = str(advisory.get("modified", ""))
            for affected in advisory.get("affected") or ():
                about = affected.get("package") or {}
                key = _key(str(about.get("ecosystem", "")).partition(":")[0], str(about.get("name", "")))
                found.setdefault(key, []).append({**advisory, "affected": affected})
        if not ids:
            raise BadInputError("has no advisory in OSV format", where=str(path))
        modified = max(ids.values())[:10]
        return cls(str(path), {key: tuple(value) for key, value in found.items()}, len(ids), modified)

    def matches(self, components: Iterable[Component]) -> list[Match]:
        """Every advisory that is about one of the components."""
        return [match for component in components for match in self._matches(component)]

    def _matches(self, component: Component) -> Iterator[Match]:
        named = package(component.purl)
        if named is None or named[0] not in _ECOSYSTEMS:
            return
        kind, name, version = named
        name = name.replace("/", ":") if kind == "maven" else name
        for advisory in self.entries.get(_key(_ECOSYSTEMS[kind], name), ()):
            affected = advisory["affected"]
            if not _is_affected(affected, version):
                continue
            events = [event for range_ in affected.get("ranges") or () for event in range_.get("events") or ()]
            rated = advisory.get("database_specific") or {}
            severity = str(rated.get("severity", "")).lower()
            yield Match(
                component=component,
                id=str(advisory["id"]),
                aliases=tuple(map(str, advisory.get("aliases") or ())),
                summary=str(advisory.get("summary") or ""),
                severity=Severity(severity) if severity in set(Severity) else None,
                fixed=tuple(str(event["fixed"]) for event in events if "fixed" in event),
            )


def stops(match: Match, fail_from: Severity) -> bool:
    """Whether the match is bad enough; one that nobody has rated is."""
    order = list(Severity)
    return match.severity is None or order.index(match.severity) >= order.index(fail_from)


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """What versions are compared by: numbers by value, words such as `rc` before the release, others after it."""
    text = version.lower().removeprefix("v").partition("+")[0]
    parts: list[tuple[int, int, str]] = []
    for token in re.findall(r"[0-9]+|[a-z]+", text):
        if token.isdigit():
            parts.append((2, int(token), ""))
        elif _QUALIFIERS.get(token, 1) < 0:
            parts.append((0, _QUALIFIERS[token], ""))
        elif _QUALIFIERS.get(token, 1) > 0:
            parts.append((1, 1, token))
    # 1.0 and 1.0.0 are the same, also before a word: 1.0-rc1 and 1.0.0-rc1.
    made: list[tuple[int, int, str]] = []
    for part in parts:
        if part[0] < 2:
            while made and made[-1] == (2, 0, ""):
                made.pop()
        made.append(part)
    while made and made[-1] == (2, 0, ""):
        made.pop()
    return (*made, (1, 0, ""))


def _is_affected(affected: Mapping[str, Any], version: str) -> bool:
    if not version or version in (affected.get("versions") or ()):
        return True
    return any(_in_range(range_, version_key(version)) for range_ in affected.get("ranges") or ())


def _in_range(range_: Mapping[str, Any], wanted: tuple[tuple[int, int, str], ...]) -> bool:
    """OSV's rule: the last event at or before the version decides."""
    if range_.get("type") not in {"SEMVER", "ECOSYSTEM"}:
        return False
    inside = False
    events = [(kind, str(value)) for event in range_.get("events") or () for kind, value in event.items()]
    for kind, value in sorted(events, key=lambda event: version_key(event[1])):
        key = version_key(value)
        if kind == "introduced" and (value == "0" or wanted >= key):
            inside = True
        elif (kind == "fixed" and wanted >= key) or (kind == "last_affected" and wanted > key):
            inside = False
    return inside


def _key(ecosystem: str, name: str) -> tuple[str, str]:
    return ecosystem, re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "PyPI" else name


def _documents(path: Path) -> Iterator[tuple[str, str]]:
    try:
        if path.is_dir():
            for file in sorted(path.rglob("*.json")):
                yield file.name, file.read_text(encoding="utf-8")
        else:
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    if name.endswith(".json"):
                        yield name, archive.read(name).decode("utf-8")
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise BadInputError(f"can't be read as a folder or zip of advisories: {error}", where=str(path)) from error


def _advisory(text: str, where: str) -> dict[str, Any]:
    try:
        advisory = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError("is not JSON", where=where) from error
    if not isinstance(advisory, dict) or not isinstance(advisory.get("id"), str):
        raise BadInputError("is not an advisory in OSV format: it has no id", where=where)
    return advisory
