"""Job tokens."""

from __future__ import annotations

import pytest

from infra.lab.gitlab.pipelines.token import JobTokens

TOKENS = JobTokens(key=b"k" * 32)


def test_round_trip() -> None:
    token = TOKENS.issue(4711)
    assert token.startswith("glcbt-")
    assert TOKENS.job_id(token) == 4711
    assert "k" * 32 not in repr(TOKENS)


@pytest.mark.parametrize(
    "token",
    ["", "glcbt-1_", TOKENS.issue(1).replace("glcbt-1_", "glcbt-2_"), JobTokens(key=b"x" * 32).issue(1), "glpat-x"],
    ids=["empty", "no-proof", "another-job", "another-key", "another-kind"],
)
def test_forged(token: str) -> None:
    assert TOKENS.job_id(token) is None
