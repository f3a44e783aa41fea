"""Cron expressions: the next and the last time, in a time zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from infra.lab.gitlab.cron import Cron, CronError

NOW = datetime(2026, 11, 24, 20, 30, 30, tzinfo=UTC)
"""A Tuesday."""


@pytest.mark.parametrize(
    ("text", "zone", "before", "after"),
    [
        pytest.param("* * * * *", "UTC", "2026-11-24T20:30", "2026-11-24T20:31", id="each-minute"),
        pytest.param("*/20 8-18 * * *", "UTC", "2026-11-24T18:40", "2026-11-25T08:00", id="steps-and-range"),
        pytest.param("0 8 * * mon-fri", "UTC", "2026-11-24T08:00", "2026-11-25T08:00", id="weekdays"),
        pytest.param("0 8 * * sun,7", "UTC", "2026-11-22T08:00", "2026-11-29T08:00", id="sunday-twice"),
        pytest.param("30 9 1 jan *", "UTC", "2026-01-01T09:30", "2027-01-01T09:30", id="month-by-name"),
        pytest.param("0 0 29 2 *", "UTC", "2024-02-29T00:00", "2028-02-29T00:00", id="leap-day"),
        pytest.param("0 0 13 * 5", "UTC", "2026-11-20T00:00", "2026-11-27T00:00", id="either-day"),
        pytest.param("0 22 * * *", "Europe/Berlin", "2026-11-23T21:00", "2026-11-24T21:00", id="time-zone"),
        pytest.param("@weekly", "UTC", "2026-11-22T00:00", "2026-11-29T00:00", id="alias"),
    ],
)
def test_times(text: str, zone: str, before: str, after: str) -> None:
    cron = Cron.parse(text, zone)
    found = [each.strftime("%Y-%m-%dT%H:%M") for each in (cron.before(NOW), cron.after(NOW)) if each]
    assert found == [before, after]


def test_a_day_that_never_comes() -> None:
    cron = Cron.parse("0 0 30 2 *")
    assert (cron.before(NOW), cron.after(NOW)) == (None, None)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        pytest.param("* * * *", "UTC", id="four-fields"),
        pytest.param("60 * * * *", "UTC", id="minute"),
        pytest.param("5-1 * * * *", "UTC", id="backwards"),
        pytest.param("*/0 * * * *", "UTC", id="no-step"),
        pytest.param("x * * * *", "UTC", id="word"),
        pytest.param("* * * * *", "Nowhere/City", id="zone"),
        pytest.param("* * * * *", "../etc/passwd", id="path"),
    ],
)
def test_what_is_no_cron_expression(text: str, zone: str) -> None:
    with pytest.raises(CronError):
        Cron.parse(text, zone)
