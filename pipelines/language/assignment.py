"""`variables` as a configuration writes them: names with values, or with a value and more."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pipelines.language.document import text_of
from pipelines.language.entry import Entry
from pipelines.language.model import Variable

JOB_KEYS = ("value", "expand")
ROOT_KEYS = ("value", "description", "expand", "options")


def read_variables(entry: Entry, allowed: Collection[str] = JOB_KEYS) -> tuple[Variable, ...]:
    """The variables of a mapping of names to values or to `{value, expand, …}`."""
    if not entry.given:
        return ()
    if not isinstance(entry.value, dict):
        entry.problem("config should be a hash")
        return ()
    return tuple(_variable(key, entry.get(key), allowed) for key in entry.value)


def _variable(key: str, entry: Entry, allowed: Collection[str]) -> Variable:
    value = entry.value
    raw = False
    if isinstance(value, dict):
        unknown = [name for name in value if name not in allowed]
        if unknown:
            entry.problem("config uses invalid data keys: " + ", ".join(unknown))
        if value.get("expand") is not None and not isinstance(value["expand"], bool):
            entry.problem("config expand should be a boolean value")
        raw = value.get("expand") is False
        _check_options(entry)
        value = value.get("value", "")
        if not is_scalar(value):
            entry.problem("config value must be a scalar")
    elif not is_scalar(value):
        entry.problems.errors.append("variable definition must be either a string or a hash")
    return Variable(key=key, value=text_of(value) if is_scalar(value) else "", raw=raw)


def is_scalar(value: Any) -> bool:
    """Whether GitLab takes `value` for a variable's value."""
    return isinstance(value, (str, int, float))


def _check_options(entry: Entry) -> None:
    options = entry.value.get("options")
    if options is None:
        return
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        entry.problem("config options should be an array of strings")
    elif entry.value.get("value") not in options:
        entry.problem("config value must be present in options")
