"""python-gitlab's own functional tests against the stand-in: all pass but those that the table names with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.likeness.conftest import TOKEN, Score, record
from tests.likeness.upstream import Case, Outcome, Upstream

REFUSED = Path(__file__).with_name("python_gitlab_refused.yaml")
LISTED = 118
"""How many tests the table has: a number that only ever gets smaller."""

_NOT_IMPLEMENTED = re.compile(r"501 Not Implemented: ([A-Z]+) /api/v4(/\S+)")
_ID = re.compile(r"(?<=/)(?:\d+|[0-9a-f]{40})(?=/|$)")


def refused() -> dict[str, str]:
    """Their tests that do not pass, each with the endpoint that is not there, or a text that the failure shows."""
    table: dict[str, str] = yaml.safe_load(REFUSED.read_text())
    return table


def reason(case: Case) -> str:
    """The endpoint whose answer a test failed at, with its ids left out; else nothing."""
    found = _NOT_IMPLEMENTED.search(case.text)
    return f"{found[1]} {_ID.sub(':id', found[2])}" if found else ""


def problems(cases: list[Case], table: dict[str, str]) -> list[str]:
    """Where outcome and table differ."""
    wrong = [
        f"{name}: it is in the table, and there is no such test" for name in table.keys() - {c.name for c in cases}
    ]
    for case in cases:
        expected = table.get(case.name)
        if case.outcome is Outcome.FAILED and expected is None:
            wrong.append(f"{case.name} fails: {reason(case) or case.text[-1500:]}")
        elif case.outcome is not Outcome.FAILED and expected is not None:
            wrong.append(f"{case.name} {case.outcome}: take it out of the table, and lower LISTED")
        elif expected is not None and expected != reason(case) and expected not in case.text:
            wrong.append(f"{case.name} fails for another reason than {expected!r}: {reason(case) or case.text[-1500:]}")
    return wrong


def test_python_gitlab(serve: Callable[[str], str], cache: Path, runner_binary: Path | None, tmp_path: Path) -> None:
    upstream = Upstream.fetch(cache)

    def run(part: str) -> list[Case]:
        folder = tmp_path / f"run-{part}"
        folder.mkdir()
        return upstream.run(part, url=serve(part), token=TOKEN, runner=runner_binary, folder=folder)

    # Each part empties its server first, so each has one of its own.
    with ThreadPoolExecutor() as pool:
        cases = [case for part in pool.map(run, ("api", "cli")) for case in part]
    table = refused()
    wrong = problems(cases, table)
    record(
        Score(
            oracle="python-gitlab's functional tests",
            cases=len(cases),
            agreeing=sum(case.outcome is Outcome.PASSED for case in cases),
            refused=sum(case.outcome is Outcome.FAILED and case.name in table for case in cases),
            skipped=sum(case.outcome is Outcome.SKIPPED for case in cases),
        )
    )
    assert not wrong, "\n".join(wrong)


def test_the_table_only_shrinks() -> None:
    assert len(refused()) == LISTED, "more tests may pass, never fewer: LISTED is only ever lowered"


@pytest.mark.parametrize(
    ("outcome", "text", "table", "told"),
    [
        pytest.param("passed", "", {}, "", id="passes"),
        pytest.param("failed", "501 Not Implemented: GET /api/v4/x/7/y is not", {"a": "GET /x/:id/y"}, "", id="listed"),
        pytest.param("failed", "boom", {}, "fails: boom", id="fails-unlisted"),
        pytest.param("passed", "", {"a": "GET /x"}, "take it out of the table", id="passes-listed"),
        pytest.param("failed", "boom", {"a": "GET /x"}, "for another reason", id="another-reason"),
        pytest.param("passed", "", {"b": "GET /x"}, "there is no such test", id="gone"),
    ],
)
def test_what_differs_is_told(outcome: str, text: str, table: dict[str, str], told: str) -> None:
    wrong = problems([Case(name="a", outcome=Outcome(outcome), text=text)], table)
    assert [told in each for each in wrong] == ([True] if told else [])
