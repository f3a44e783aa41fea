"""The grammar of `rules:if` (https://docs.gitlab.com/ci/jobs/job_rules/#cicd-variable-expressions)."""

from __future__ import annotations

import pytest

from pipelines.language.expression import TOKEN_LIMIT, ExpressionError, check, evaluate

VARIABLES = {
    "BRANCH": "main",
    "TAG": "v1.2.3",
    "EMPTY": "",
    "SPACE": "  ",
    "RE": "/^ma/",
    "NOT_RE": "main",
    "BROKEN": "/(/",
    "LINES": "one\ntwo",
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("$BRANCH", True),
        ("$NOPE", False),
        ("$EMPTY", False),
        ("$SPACE", False),
        ('$BRANCH == "main"', True),
        ("$BRANCH == 'main'", True),
        ('"main" == $BRANCH', True),
        ('$BRANCH != "main"', False),
        ("$NOPE == null", True),
        ("$EMPTY == null", False),
        ('$EMPTY == ""', True),
        ("$BRANCH != null", True),
        ('$NOPE == ""', False),
        ("$BRANCH == $NOPE", False),
        ("$BRANCH =~ /^main$/", True),
        ("$BRANCH =~ /^MAIN$/", False),
        ("$BRANCH =~ /^MAIN$/i", True),
        ("$TAG =~ /^v\\d+\\.\\d+\\.\\d+$/", True),
        ("$TAG !~ /^v/", False),
        ("$TAG !~ /^v1/", False),
        ("$BRANCH !~ /^v1/", True),
        ("$NOPE =~ /ab/", False),
        ("$NOPE !~ /ab/", True),
        ("$BRANCH =~ $RE", True),
        ("$BRANCH =~ $NOT_RE", True),
        ("$BRANCH !~ $NOT_RE", False),
        ('"ai" =~ "main"', True),
        ('"main" =~ "ai"', False),
        ("$BRANCH =~ $BROKEN", False),
        ("$BRANCH !~ $BROKEN", True),
        ("$BRANCH =~ $NOPE", False),
        ("$BRANCH !~ $NOPE", True),
        ('"a/b" =~ /a\\/b/', True),
        ("$LINES =~ /^two$/", False),
        ("$LINES =~ /^two$/m", True),
        ("$LINES =~ /one.two/", False),
        ("$LINES =~ /one.two/s", True),
        ("$BRANCH && $TAG", True),
        ("$BRANCH && $NOPE", False),
        ("$NOPE || $BRANCH", True),
        ("$EMPTY || $BRANCH", False),
        ("$NOPE && $NOPE || $BRANCH", True),
        ("$BRANCH || $NOPE && $NOPE", True),
        ("($BRANCH || $NOPE) && $NOPE", False),
        ('$BRANCH && $TAG == "v1.2.3" || $NOPE', True),
        ('$BRANCH == "x" || $BRANCH == "y" || ($BRANCH == "main" && $TAG)', True),
        ("(($BRANCH))", True),
        ('$BRANCH == "main" == $NOPE', False),
        ('("x" == ("y" && "x"))', True),
        ('("x" == ("y" || "x"))', False),
        ('$NOPE == "a" || $BRANCH == "main" && $TAG == "x" || $BRANCH == "main" && $EMPTY == ""', True),
        ('"/a/path" =~ /^\\/a\\/path$/', True),
        ("$BRANCH&&$TAG", True),
        ("  $BRANCH\n  && $TAG\n", True),
        ('"text"', True),
        ('""', False),
        ("null", False),
        ("null == null", True),
    ],
)
def test_holds(text: str, holds: bool) -> None:
    assert evaluate(text, VARIABLES) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "$",
        "${BRANCH}",
        "$A ==",
        "== $A",
        "$A $B",
        "$A && ",
        "&& $A",
        "($A",
        "$A)",
        "()",
        "$A = $B",
        "$A & $B",
        '"open',
        "main",
        "$A =~ /(/",
        "$A =~ /(?=x)a/",
        "$A =~ /a\\1b/",
        "!$A",
        "$A == 1",
        "$A == true",
        "$A" + " || $A" * TOKEN_LIMIT,
        "(" * 5000,
    ],
)
def test_not_an_expression(text: str) -> None:
    with pytest.raises(ExpressionError):
        check(text)


def test_a_pattern_that_would_backtrack_for_ever_is_quick() -> None:
    assert evaluate("$X =~ /^(a+)+$/", {"X": "a" * 5000 + "!"}) is False


def test_a_text_too_long_for_the_pattern_is_no_match() -> None:
    assert evaluate("$X =~ /(x{900}){4}/", {"X": "a" * 100_000}) is False
