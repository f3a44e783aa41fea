"""Reports: JUnit, dotenv, coverage."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from infra.lab.gitlab.pipelines.report import DOTENV_LIMIT_BYTES, ReportError, coverage, dotenv, junit, unpacked


def test_dotenv() -> None:
    assert dotenv(b"A=1\n B = two words \n\nC=x=y\n") == (("A", "1"), ("B", "two words"), ("C", "x=y"))


TOO_MANY = b"".join(b"K%d=1\n" % number for number in range(21))


@pytest.mark.parametrize(
    "content",
    [b"no separator", b"bad-key=1", b"=1", b"\xff=1", b"A=" + b"x" * DOTENV_LIMIT_BYTES, TOO_MANY],
    ids=["no-separator", "bad-key", "no-key", "not-text", "too-large", "too-many"],
)
def test_bad_dotenv(content: bytes) -> None:
    with pytest.raises(ReportError):
        dotenv(content)


def test_junit_states() -> None:
    cases = junit(
        b'<testsuites><testsuite><testcase name="a" time="1,000.5"/>'
        b'<testcase name="b"><failure message="m"/></testcase>'
        b'<testcase name="c"><error>boom</error></testcase>'
        b'<testcase name="d"><skipped/></testcase></testsuite></testsuites>'
    )
    assert [case.status for case in cases] == ["success", "failed", "error", "skipped"]
    assert (cases[0].execution_time, cases[1].system_output, cases[2].system_output) == (1000.5, "m", "boom")


@pytest.mark.parametrize(
    "content", [b"", b"<a>", b'<!DOCTYPE a [<!ENTITY x "y">]><a/>'], ids=["empty", "unclosed", "entities"]
)
def test_bad_junit(content: bytes) -> None:
    with pytest.raises(ReportError, match="JUnit XML parsing failed"):
        junit(content)


def test_unpacked_is_bounded(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb"
    bomb.write_bytes(gzip.compress(b"0" * 1_000_000))
    assert unpacked(bomb, limit=1_000_000) == b"0" * 1_000_000
    with pytest.raises(ReportError, match="larger"):
        unpacked(bomb, limit=999_999)
    bomb.write_bytes(gzip.compress(b"x")[:-4])
    with pytest.raises(ReportError, match="not readable"):
        unpacked(bomb)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"/total: (\d+\.\d+)%/", 87.5),
        (r"total: \d+\.\d+%", 87.5),
        (r"nothing (\d+)", None),
        (r"(", None),
        (r"total", None),
    ],
    ids=["group", "whole-match", "no-match", "broken", "no-number"],
)
def test_coverage_takes_the_last(pattern: str, expected: float | None) -> None:
    assert coverage(b"total: 10.0%\n\x1b[32mtotal: 87.5%\x1b[0m\n", pattern) == expected
