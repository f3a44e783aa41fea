"""Cron expressions as schedules and freeze periods use them: five fields, in a time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_PART = re.compile(r"(?:\*|(?P<low>[a-z0-9]+)(?:-(?P<high>[a-z0-9]+))?)(?:/(?P<step>[0-9]{1,4}))?")
_FARTHEST = 366 * 8
"""Days that are looked through: 29 February can be eight years away."""


class CronError(ValueError):
    """Not a cron expression, or no such time zone."""


@dataclass(frozen=True, kw_only=True)
class Cron:
    """An expression in its time zone."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Day of the month and day of the week are both given: one of them is enough."""
    zone: tzinfo

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> Self:
        """Raises CronError."""
        fields = _ALIASES.get(text.strip().lower(), text).lower().split()
        if len(fields) != 5:
            raise CronError("is invalid syntax")
        try:
            # A machine without the time zones' files still knows this one.
            place = UTC if zone in ("UTC", "Etc/UTC") else ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise CronError("is invalid syntax") from error
        weekdays = _field(fields[4], 0, 7, _DAYS)
        return cls(
            minutes=tuple(sorted(_field(fields[0], 0, 59))),
            hours=tuple(sorted(_field(fields[1], 0, 23))),
            days=_field(fields[2], 1, 31),
            months=_field(fields[3], 1, 12, _MONTHS),
            weekdays=frozenset(day % 7 for day in weekdays),
            either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
            zone=place,
        )

    def after(self, moment: datetime) -> datetime | None:
        """The first time after `moment`, in UTC; None for one that never comes."""
        return self._nearest(moment, 1)

    def before(self, moment: datetime) -> datetime | None:
        """The last time that is not after `moment`, in UTC."""
        return self._nearest(moment, -1)

    def _nearest(self, moment: datetime, way: int) -> datetime | None:
        first = moment.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        for offset in range(_FARTHEST):
            day = first + timedelta(days=way * offset)
            if not self._on(day):
                continue
            for hour in self.hours[::way]:
                for minute in self.minutes[::way]:
                    found = day.replace(hour=hour, minute=minute).astimezone(UTC)
                    if found > moment if way > 0 else found <= moment:
                        return found
        return None

    def _on(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either_day else of_month and of_week


def _field(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise CronError("is invalid syntax")
        step = int(match["step"] or 1)
        start = low if match["low"] is None else _number(match["low"], names, low)
        end = start if match["low"] and not match["step"] else high
        end = _number(match["high"], names, low) if match["high"] else end
        if step == 0 or not low <= start <= end <= high:
            raise CronError("is invalid syntax")
        found.update(range(start, end + 1, step))
    return frozenset(found)


def _number(text: str, names: tuple[str, ...], low: int) -> int:
    if text[:3] in names and text.isalpha():
        return names.index(text[:3]) + low
    if not text.isdecimal():
        raise CronError("is invalid syntax")
    return int(text)
