"""The expressions of `rules:if` and `only:variables` (https://docs.gitlab.com/ci/jobs/job_rules/#cicd-variable-expressions).

Operands: `$NAME`, `"…"`, `'…'`, `/…/flags`, `null`. `==`, `!=`, `=~` and `!~` bind closest, then `&&`, then `||`;
parentheses group. A variable on the right of `=~` may hold the regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pipelines.language.pattern import PatternError, slashed

TOKEN_LIMIT = 100
"""GitLab's own limit."""

_TOKENS = re.compile(
    r"""(?P<open>\()|(?P<close>\))
      |\$(?P<variable>\w+)
      |"(?P<double>[^"\n]*)"|'(?P<single>[^'\n]*)'
      |(?P<pattern>/(?:[^/]|\\/)+[^\\]/[ismU]*)
      |(?P<null>null\b)
      |(?P<compare>==|=~|!=|!~)|(?P<and>&&)|(?P<or>\|\|)""",
    re.VERBOSE | re.ASCII,
)


class ExpressionError(ValueError):
    """Not an expression, or one that can't be evaluated."""


@dataclass(frozen=True, slots=True)
class _Operand:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class _Operation:
    operator: str
    left: _Node
    right: _Node


_Node = _Operand | _Operation
_Value = str | bool | None


def evaluate(text: str, variables: Mapping[str, str]) -> bool:
    """Whether the expression holds. An empty or blank string does not.

    Raises ExpressionError for bad syntax.
    """
    value = _value(_parsed(text), variables)
    return bool(value.strip()) if isinstance(value, str) else bool(value)


def check(text: str) -> None:
    """Raises ExpressionError when `text` is not an expression."""
    _parsed(text)


def _value(node: _Node, variables: Mapping[str, str]) -> _Value:
    if isinstance(node, _Operand):
        if node.kind == "variable":
            return variables.get(node.text)
        return None if node.kind == "null" else node.text
    left = _value(node.left, variables)
    if node.operator in ("&&", "||"):
        # As in Ruby, only null and false are false here: an empty string on the left of `||` is the result.
        left_holds = left is not None and left is not False
        return _value(node.right, variables) if left_holds == (node.operator == "&&") else left
    right = _value(node.right, variables)
    if node.operator in ("==", "!="):
        return (left == right) == (node.operator == "==")
    found = isinstance(right, str) and _found(left if isinstance(left, str) else "", right)
    return found == (node.operator == "=~")


def _found(text: str, wanted: str) -> bool:
    """Whether the regular expression `wanted` is found in `text`.

    Where `wanted` is none, GitLab looks for `text` in it: `"main" =~ "mainline"` holds. That is odd, and kept.
    """
    try:
        pattern = slashed(wanted)
    except PatternError:
        return text in wanted
    try:
        return pattern.search(text)
    except PatternError:
        return False


@lru_cache(maxsize=1024)
def _parsed(text: str) -> _Node:
    parser = _Parser(_tokens(text))
    tree = parser.alternatives()
    if parser.more():
        raise ExpressionError("Unreachable nodes in parse tree")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    text = text.strip()
    at = 0
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None or match.lastgroup is None:
            raise ExpressionError(f"Unknown lexeme found: {text[at : at + 40]}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        if len(tokens) > TOKEN_LIMIT:
            raise ExpressionError("Too many tokens!")
        at = match.end()
        at += len(text[at:]) - len(text[at:].lstrip())
    return tokens


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._tokens)

    def alternatives(self) -> _Node:
        node = self._conjunction()
        while self._next_is("or"):
            self._at += 1
            node = _Operation("||", node, self._conjunction())
        return node

    def _conjunction(self) -> _Node:
        node = self._comparison()
        while self._next_is("and"):
            self._at += 1
            node = _Operation("&&", node, self._comparison())
        return node

    def _comparison(self) -> _Node:
        node = self._operand()
        while self._next_is("compare"):
            operator = self._tokens[self._at][1]
            self._at += 1
            node = _Operation(operator, node, self._operand())
        return node

    def _operand(self) -> _Node:
        if not self.more():
            raise ExpressionError("an operand is missing")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "open":
            node = self.alternatives()
            if not self._next_is("close"):
                raise ExpressionError("a closing parenthesis is missing")
            self._at += 1
            return node
        if kind not in ("variable", "double", "single", "pattern", "null"):
            raise ExpressionError(f"an operand is missing before {text}")
        if kind == "pattern":
            _compile(text)
        return _Operand(kind, text)

    def _next_is(self, kind: str) -> bool:
        return self.more() and self._tokens[self._at][0] == kind


def _compile(text: str) -> None:
    try:
        slashed(text)
    except PatternError as error:
        raise ExpressionError("Invalid regular expression!") from error
