"""Durations as people write them in `.gitlab-ci.yml`: `1h 30m`, `2 weeks`, `3 mins 4 sec`, `1 day and 2 hours`."""

from __future__ import annotations

import re

_SECONDS = {
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86_400,
    "w": 7 * 86_400,
    "mo": 30 * 86_400,
    "y": 31_557_600,
}
"""ChronicDuration as GitLab sets it up: a day has 24 hours, a month 30 days, a year 365.25 days."""

_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), "w"),
    **dict.fromkeys(("mo", "mos", "mth", "mths", "month", "months"), "mo"),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), "y"),
}
_WORDS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
_WORDS |= {"nine": 9, "ten": 10, "eleven": 11, "twelve": 12}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]*)")
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,6})")
_TEXT_LIMIT = 100


def parse(text: str) -> int | None:
    """Seconds; None for `never`. A bare number is seconds, `1:30` is minutes and seconds. Raises ValueError."""
    words = text.strip().lower()
    if words == "never":
        return None
    if not words or len(words) > _TEXT_LIMIT:
        raise ValueError(f"{text[:_TEXT_LIMIT]!r} is not a duration")
    clock = _CLOCK.fullmatch(words)
    if clock:
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return hours * 3600 + minutes * 60 + seconds
    total = 0.0
    rest = _digits(words)
    while rest:
        part = _PART.match(rest)
        unit = _UNITS.get(part[2] or "s") if part else None
        if part is None or unit is None:
            raise ValueError(f"{text!r} is not a duration")
        total += float(part[1]) * _SECONDS[unit]
        rest = rest[part.end() :].strip()
    return int(total)


def _digits(words: str) -> str:
    """`words` without joining words, with number words as digits."""
    kept = [word for word in re.split(r"[\s,]+", words) if word not in ("and", "with", "plus", "")]
    return " ".join(str(_WORDS.get(word, word)) for word in kept)
