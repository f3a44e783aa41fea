"""Parameters of an endpoint: declared once, checked and converted as Grape does, with its messages.

They come as query, form, multipart or JSON; arrays `k[]=`, hashes `k[sub]=`, arrays of hashes `k[][sub]=` or
`k[0][sub]=`. Names that an endpoint does not declare are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from infra.lab.gitlab.api.error import message, parameter

_TRUE = {"true", "t", "1", "yes", "on"}
_FALSE = {"false", "f", "0", "no", "off", ""}
_PART = re.compile(r"\[([^\[\]]*)\]")
_DEEPEST = 32


class Kind(StrEnum):
    """What a value is turned into."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    ARRAY = "array"
    """A list; a string with commas also is one."""
    HASHES = "hashes"
    """A list of hashes, checked against `items`."""
    HASH = "hash"
    DATE = "date"
    """A day, as `2026-01-31`."""
    TIME = "time"
    """A moment, as a datetime with its zone."""
    FILE = "file"
    """An uploaded file (`api.route.Upload`)."""
    ANY = "any"
    REFUSED = "refused"
    """GitLab has it and the stand-in does not: refused rather than ignored."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One declared parameter."""

    name: str
    kind: Kind
    required: bool = False
    values: tuple[Any, ...] = ()
    default: Any = None
    items: tuple[Parameter, ...] = ()
    """Of HASHES and HASH."""


def string(name: str, *, required: bool = False, values: Iterable[str] = (), default: str | None = None) -> Parameter:
    """A text."""
    return Parameter(name=name, kind=Kind.STRING, required=required, values=tuple(values), default=default)


def integer(name: str, *, required: bool = False, values: Iterable[int] = (), default: int | None = None) -> Parameter:
    """A whole number."""
    return Parameter(name=name, kind=Kind.INTEGER, required=required, values=tuple(values), default=default)


def boolean(name: str, *, required: bool = False, default: bool | None = None) -> Parameter:
    """True or false, also spelled 1, t, yes, on, …"""
    return Parameter(name=name, kind=Kind.BOOLEAN, required=required, default=default)


def array(name: str, *, required: bool = False, values: Iterable[str] = ()) -> Parameter:
    """A list of texts; `values` are those allowed."""
    return Parameter(name=name, kind=Kind.ARRAY, required=required, values=tuple(values))


def hashes(name: str, *items: Parameter, required: bool = False) -> Parameter:
    """A list of hashes with these keys."""
    return Parameter(name=name, kind=Kind.HASHES, required=required, items=items)


def hash_of(name: str, *items: Parameter, required: bool = False) -> Parameter:
    """A hash with these keys; any keys when none are given."""
    return Parameter(name=name, kind=Kind.HASH, required=required, items=items)


def day(name: str, *, required: bool = False) -> Parameter:
    """A date."""
    return Parameter(name=name, kind=Kind.DATE, required=required)


def moment(name: str, *, required: bool = False) -> Parameter:
    """A date and time."""
    return Parameter(name=name, kind=Kind.TIME, required=required)


def upload(name: str, *, required: bool = False) -> Parameter:
    """A file of a multipart form."""
    return Parameter(name=name, kind=Kind.FILE, required=required)


def anything(name: str, *, required: bool = False) -> Parameter:
    """A value that the handler checks itself."""
    return Parameter(name=name, kind=Kind.ANY, required=required)


def refused(*names: str) -> tuple[Parameter, ...]:
    """Parameters that do something in GitLab and nothing here: whoever gives one is told so."""
    return tuple(Parameter(name=name, kind=Kind.REFUSED) for name in names)


def check(declared: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """The declared parameters that were given or have a default, converted. ApiError 400 names each wrong one."""
    problems: list[str] = []
    result = _check(declared, given, "", problems)
    if problems:
        raise parameter(", ".join(problems))
    return result


def _check(declared: Sequence[Parameter], given: Mapping[str, Any], prefix: str, problems: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for each in declared:
        label = f"{prefix}[{each.name}]" if prefix else each.name
        if each.name not in given:
            if each.required:
                problems.append(f"{label} is missing")
            elif each.default is not None:
                result[each.name] = each.default
            continue
        value = given[each.name]
        if each.kind is Kind.REFUSED:
            if value not in (None, "", "0", 0, False, "false", []):
                raise message(501, f"501 Not Implemented: the parameter {label} is not part of the embedded GitLab")
            continue
        if value is None or (value == "" and each.kind not in (Kind.STRING, Kind.ANY, Kind.BOOLEAN, Kind.ARRAY)):
            if each.required and each.kind != Kind.STRING:
                problems.append(f"{label} is empty")
            result[each.name] = None
            continue
        result[each.name] = _convert(each, value, label, problems)
    return result


def _convert(declared: Parameter, value: Any, label: str, problems: list[str]) -> Any:  # noqa: PLR0911 - one return a kind
    match declared.kind:
        case Kind.HASHES:
            rows = _rows(value)
            if rows is None or not all(isinstance(row, Mapping) for row in rows):
                problems.append(f"{label} is invalid")
                return None
            return [_check(declared.items, row, f"{label}[{index}]", problems) for index, row in enumerate(rows)]
        case Kind.HASH:
            if not isinstance(value, Mapping):
                problems.append(f"{label} is invalid")
                return None
            return _check(declared.items, value, label, problems) if declared.items else dict(value)
        case Kind.ARRAY:
            rows = (
                [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else _rows(value)
            )
            if rows is None or any(isinstance(row, list | Mapping) for row in rows):
                problems.append(f"{label} is invalid")
                return None
            texts = [str(row) for row in rows]
            if declared.values and not set(texts) <= set(declared.values):
                problems.append(f"{label} does not have a valid value")
            return texts
        case Kind.ANY | Kind.FILE:
            return value
        case _:
            return _scalar(declared, value, label, problems)


def _scalar(declared: Parameter, value: Any, label: str, problems: list[str]) -> Any:
    try:
        converted = _SCALARS[declared.kind](value)
    except ValueError:
        problems.append(f"{label} is invalid")
        return None
    if declared.values and converted not in declared.values:
        problems.append(f"{label} does not have a valid value")
    return converted


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ValueError(value)
    return str(value)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(value)
    number = int(value)
    if abs(number) >= 2**63:
        raise ValueError(value)
    return number


def _truth(value: Any) -> bool:
    text = _text(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError(value)
    return text in _TRUE


def _date(value: Any) -> str:
    return date.fromisoformat(_text(value)[:10]).isoformat()


def _time(value: Any) -> datetime:
    parsed = datetime.fromisoformat(_text(value))
    return parsed if parsed.tzinfo else parsed.astimezone()


_SCALARS = {
    Kind.STRING: _text,
    Kind.INTEGER: _number,
    Kind.BOOLEAN: _truth,
    Kind.DATE: _date,
    Kind.TIME: _time,
}


def _rows(value: Any) -> list[Any] | None:
    """A list; a hash with numbers for keys (`k[0]=`) is one too."""
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping):
        if all(str(key).isdecimal() for key in value):
            return [value[key] for key in sorted(value, key=int)]
        return [value]
    return None


def nest(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The tree that the names of a query or form spell, as Rack reads them. Names that clash overwrite each other."""
    root: dict[str, Any] = {}
    for name, value in pairs:
        head, bracket, tail = name.partition("[")
        parts = _PART.findall(bracket + tail)[:_DEEPEST] if bracket else []
        _put(root, [head, *parts], value)
    return root


def _put(node: dict[str, Any], path: list[str], value: Any) -> None:
    key, rest = path[0], path[1:]
    if not rest:
        node[key] = value
        return
    if rest[0] != "":
        child = node.get(key)
        if not isinstance(child, dict):
            child = node[key] = {}
        _put(child, rest, value)
        return
    rows = node.get(key)
    if not isinstance(rows, list):
        rows = node[key] = []
    if len(rest) == 1:
        rows.append(value)
        return
    # `k[][a]=1&k[][b]=2` is one hash until a key comes for the second time.
    if not rows or not isinstance(rows[-1], dict) or rest[1] in rows[-1]:
        rows.append({})
    _put(rows[-1], rest[1:], value)
