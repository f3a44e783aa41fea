"""Durations as ChronicDuration reads them."""

from __future__ import annotations

import pytest

from pipelines.language.duration import parse


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("42", 42),
        ("42 seconds", 42),
        ("3 mins 4 sec", 184),
        ("2 hrs 20 min", 8400),
        ("2h20min", 8400),
        ("1h 30m", 5400),
        ("1.5 hours", 5400),
        ("1 day", 86_400),
        ("1 week", 604_800),
        ("2 weeks", 1_209_600),
        ("6 mos 1 day", 15_638_400),
        ("47 yrs 6 mos and 4d", 1_499_104_800),
        ("3 weeks and 2 days", 1_987_200),
        ("one week", 604_800),
        ("an hour", 3600),
        ("1 hour, 5 minutes", 3900),
        ("1:30", 90),
        ("1:00:00", 3600),
        ("NEVER", None),
        ("never", None),
    ],
)
def test_parse(text: str, seconds: int | None) -> None:
    assert parse(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "-1 day", "1 day ago", "h", "1" * 200, "$TIME"])
def test_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse(text)
