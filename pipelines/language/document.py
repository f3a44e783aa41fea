"""YAML as GitLab reads it: Psych's scalars and merge keys, `!reference`, and bounds on hostile input.

The value is built from ruamel.yaml's events, since Psych's rules are neither YAML 1.1 nor 1.2: `yes`, `on` and `off`
are booleans, `y` and `n` are strings, `<<` overrides the keys before it, and the last of two equal keys counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from pipelines.language.error import ConfigError

SIZE_LIMIT = 1024 * 1024
"""Bytes a file may have (GitLab's `max_yaml_size_bytes` is of that order)."""
NODE_LIMIT = 50_000
"""Values a file may have once its aliases are counted as often as they are used: this is what stops alias bombs."""
DEPTH_LIMIT = 100
"""GitLab's `max_yaml_depth`."""

TOO_BIG = "The parsed YAML is too big"

_TRUE = re.compile(r"(?i:yes|true|on)")
_FALSE = re.compile(r"(?i:no|false|off)")
_NULL = re.compile(r"~|null|Null|NULL|")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9](?:[0-9]|,[0-9]|_[0-9])*)")
_OCTAL = re.compile(r"[-+]?0[0-7_,]+")
_HEX_OR_BINARY = re.compile(r"[-+]?0(?:x[0-9a-fA-F_,]+|b[01_,]+)")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}")
_FLOAT = re.compile(r"[-+]?(?:[0-9][0-9_,]*)?\.[0-9]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_,]*[eE][-+]?[0-9]+")
_SPECIAL_FLOAT = {".inf": "Infinity", "-.inf": "-Infinity", "+.inf": "Infinity", ".nan": "NaN"}
_DATE = re.compile(r"\d{4}-(?:1[012]|0\d|\d)-(?:[12]\d|3[01]|0\d|\d)")
_DIGITS_LIMIT = 40

_CORE = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Reference:
    """A `!reference [job, key, …]` that is not resolved yet."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return "!reference [" + ", ".join(f'"{part}"' for part in self.path) + "]"


def load(text: str) -> dict[str, Any]:
    """The mapping that `text` is. Aliases share their value, so nobody may change what is returned.

    Raises ConfigError with GitLab's texts: bad syntax, too big, no mapping.
    """
    if len(text.encode("utf-8", "surrogatepass")) > SIZE_LIMIT:
        raise ConfigError([TOO_BIG])
    parser = YAML(typ="safe", pure=True)
    try:
        value = _Builder(iter(parser.parse(text))).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        context = f" {error.context}" if error.context else ""
        raise ConfigError([f"(<unknown>): {error.problem}{context}{place}"]) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError([f"(<unknown>): {str(error).splitlines()[0] if str(error) else 'not YAML'}"]) from error
    if not isinstance(value, dict):
        raise ConfigError(["Invalid configuration format"])
    return value


class _Builder:
    """Builds one document's value. Each value travels with its size in nodes."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1 and isinstance(value, dict) and "spec" in value:
                    raise ConfigError(["spec: is not supported by Forgeline"])
                if documents > 1:
                    raise ConfigError(["Invalid configuration format: a file may have one YAML document"])
                value, _ = self._value(next(self._events), 1)
        return value

    def _value(self, event: Event, depth: int) -> tuple[Any, int]:
        if depth > DEPTH_LIMIT:
            raise ConfigError([TOO_BIG])
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise ConfigError([f"Unknown alias: {event.anchor}"])
            value, size = self._anchors[event.anchor]
            self._count(size)
            return value, size
        self._count(1)
        before = self._nodes - 1
        if isinstance(event, ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, SequenceStartEvent):
            value = self._sequence(event, depth)
        elif isinstance(event, MappingStartEvent):
            _plain_tag(event.tag, "map")
            value = self._mapping(depth)
        else:
            raise ConfigError(["Invalid configuration format"])
        size = self._nodes - before
        if event.anchor:
            self._anchors[event.anchor] = value, size
        return value, size

    def _count(self, size: int) -> None:
        self._nodes += size
        if self._nodes > NODE_LIMIT:
            raise ConfigError([TOO_BIG])

    def _sequence(self, start: SequenceStartEvent, depth: int) -> list[Any] | Reference:
        items = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._value(event, depth + 1)[0])
        if _tag(start.tag) == "!reference":
            if not items or not all(isinstance(item, str) for item in items):
                raise ConfigError([f"!reference {_inspect(items)} is not valid"])
            return Reference(tuple(items))
        _plain_tag(start.tag, "seq")
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key, _ = self._value(event, depth + 1)
            merges = key == "<<" and isinstance(event, ScalarEvent) and event.style is None
            value, _ = self._value(next(self._events), depth + 1)
            if merges and isinstance(value, dict):
                mapping.update(value)
            elif merges and isinstance(value, list) and all(isinstance(item, dict) for item in value):
                merged: dict[str, Any] = {}
                for item in reversed(value):
                    merged.update(item)
                mapping.update(merged)
            else:
                mapping[_key(key)] = value
        return mapping


def _tag(tag: Any) -> str:
    return "" if tag is None else str(tag)


def _plain_tag(tag: Any, kind: str) -> None:
    """Refuses tags that GitLab's loader would turn into something else, or ignore."""
    if _tag(tag) not in ("", "!", _CORE + kind):
        raise ConfigError([f"Unknown tag: {_tag(tag)}"])


def _key(key: Any) -> str:
    if isinstance(key, (dict, list, Reference)):
        raise ConfigError(["Invalid configuration format: a key must be a scalar"])
    # Psych reads `:name` as a symbol, and GitLab makes one of every key: it is the same as `name`.
    return re.sub(r"^:(?=\w)", "", key) if isinstance(key, str) else text_of(key)


def text_of(value: Any) -> str:
    """A scalar as Ruby's `to_s` spells it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def is_plain(text: str) -> bool:
    """Whether `text`, written without quotes, is read as this string."""
    try:
        return bool(_plain(text) == text)
    except (ConfigError, ValueError):
        return False


def _inspect(items: list[Any]) -> str:
    return "[" + ", ".join(f'"{item}"' if isinstance(item, str) else text_of(item) for item in items[:10]) + "]"


def _scalar(event: ScalarEvent) -> Any:
    tag = _tag(event.tag)
    text = str(event.value)
    if tag in ("!", _CORE + "str") or (not tag and event.style is not None):
        return text
    if tag == "!reference":
        raise ConfigError([f'!reference "{text}" is not valid'])
    if tag and tag not in {_CORE + kind for kind in ("int", "float", "bool", "null")}:
        raise ConfigError([f"Unknown tag: {tag}"])
    return _plain(text)


def _plain(text: str) -> Any:
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if text.lower() in _SPECIAL_FLOAT:
        return _SPECIAL_FLOAT[text.lower()]
    if text[0] in "+-.0123456789" and len(text) <= _DIGITS_LIMIT:
        return _number(text)
    return text


def _number(text: str) -> Any:
    digits = text.replace("_", "").replace(",", "")
    if _INTEGER.fullmatch(text):
        return int(digits)
    if _OCTAL.fullmatch(text) and digits.lstrip("+-0"):
        return int(digits, 8)
    if _HEX_OR_BINARY.fullmatch(text):
        return int(digits, 0)
    if _SEXAGESIMAL.fullmatch(text):
        value = 0
        for part in digits.lstrip("+-").split(":"):
            value = value * 60 + int(part)
        return -value if text.startswith("-") else value
    if _FLOAT.fullmatch(text) and any(character.isdigit() for character in text):
        return float(digits)
    if _DATE.fullmatch(text):
        date(*(int(part) for part in text.split("-")))
        raise ConfigError(["Tried to load unspecified class: Date"])
    return text
