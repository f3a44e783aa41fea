"""One value of a configuration with its place, read as what it should be: problems are collected in GitLab's words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipelines.language import duration
from pipelines.language.document import text_of

SCRIPT_DEPTH = 10
"""Levels of arrays in arrays (they come from `!reference`)."""


@dataclass
class Problems:
    """What is wrong with a configuration, and what is only worth a warning."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lenient: bool = False
    """Whether what GitLab knows and we do not read is passed over."""


@dataclass(frozen=True)
class Entry:
    """A value at a place such as `jobs:build:artifacts`. Readers report a problem and give a harmless value."""

    where: str
    value: Any
    problems: Problems

    def problem(self, text: str) -> None:
        """Reports `text` for this place, in lower case as GitLab does it with everything its validators say."""
        self._report(f"{self.where} {text}".lower())

    def _report(self, message: str) -> None:
        if message not in self.problems.errors:
            self.problems.errors.append(message)

    def at(self, name: str, value: Any) -> Entry:
        """The entry below this one."""
        return Entry(f"{self.where}:{name}" if self.where else name, value, self.problems)

    def get(self, key: str) -> Entry:
        """The entry of `key`; its value is None when there is none."""
        return self.at(key, self.value.get(key) if isinstance(self.value, dict) else None)

    @property
    def given(self) -> bool:
        """Whether there is a value (GitLab treats `null` as not specified)."""
        return self.value is not None

    def is_mapping(self, allowed: Collection[str], refused: Collection[str] = ()) -> bool:
        """Whether this is a mapping; unknown keys and those we don't do are problems."""
        if not isinstance(self.value, dict):
            self.problem("config should be a hash")
            return False
        for key in self.value:
            if key in refused:
                self.at(key, None).refuse()
        unknown = [key for key in self.value if key not in allowed and key not in refused]
        if unknown:
            self.problem("config contains unknown keys: " + ", ".join(unknown))
        return True

    def refuse(self) -> None:
        """Says that GitLab knows this keyword and Forgeline does not read it."""
        if not self.problems.lenient:
            self._report(f"{self.where} is not supported by Forgeline")

    def string(self, attribute: str = "config") -> str | None:
        """A string."""
        if self.value is None or isinstance(self.value, str):
            return self.value
        self.problem(f"{attribute} should be a string")
        return None

    def boolean(self, default: bool = False) -> bool:
        """A boolean."""
        if self.value is None:
            return default
        if not isinstance(self.value, bool):
            self.problem("config should be a boolean value")
            return default
        return self.value

    def strings(self, attribute: str = "config", *, single: bool = False) -> tuple[str, ...]:
        """An array of strings, or with `single` one string too."""
        if self.value is None:
            return ()
        if single and isinstance(self.value, str):
            return (self.value,)
        if not isinstance(self.value, list) or not all(isinstance(item, str) for item in self.value):
            self.problem(f"{attribute} should be an array of strings" + (" or a string" if single else ""))
            return ()
        return tuple(self.value)

    def choice(self, allowed: Collection[str], default: str, message: str = "") -> str:
        """One of the allowed strings."""
        if self.value is None:
            return default
        if not isinstance(self.value, str) or self.value not in allowed:
            self.problem(message or "config should be one of: " + ", ".join(allowed))
            return default
        return self.value

    def script(self) -> tuple[str, ...]:
        """Commands: a string, or strings in arrays nested up to ten levels."""
        if self.value is None:
            return ()
        items = [self.value] if isinstance(self.value, str) else self.value
        flat = self.flat(items, str, SCRIPT_DEPTH)
        if flat is None:
            self.problem("config should be a string or a nested array of strings up to 10 levels deep")
            return ()
        return tuple(flat)

    def flat(self, items: Any, kind: type, depth: int) -> list[Any] | None:
        """The items of nested arrays in one list; None if they are nested deeper or not all of that type."""
        if not isinstance(items, list):
            return None
        try:
            return list(_flattened(items, kind, depth))
        except TypeError:
            return None

    def seconds(self, attribute: str, *, limit: int | None = None) -> int | None:
        """A duration. `limit` is in seconds."""
        if self.value is None:
            return None
        try:
            seconds = duration.parse(text_of(self.value)) if isinstance(self.value, (str, int, float)) else -1
        except ValueError:
            seconds = -1
        if seconds == -1 or isinstance(self.value, bool) or seconds is None:
            self.problem(f"{attribute} should be a duration")
            return None
        if limit is not None and seconds > limit:
            self.problem(f"{attribute} should not exceed the limit")
        return seconds

    def each(self, read: Callable[[Entry], Any]) -> list[Any]:
        """`read` of every item of an array (a single value counts as an array of one)."""
        items = self.value if isinstance(self.value, list) else [self.value]
        return [read(Entry(self.where, item, self.problems)) for item in items]


def _flattened(items: list[Any], kind: type, depth: int) -> Iterator[Any]:
    for item in items:
        if isinstance(item, list):
            if depth <= 1:
                raise TypeError
            yield from _flattened(item, kind, depth - 1)
        elif isinstance(item, kind):
            yield item
        else:
            raise TypeError
