"""Regular expressions with RE2's promise: time linear in the text, whatever the expression.

GitLab evaluates expressions from configurations and variables with RE2. Python's `re` backtracks: `(a+)+$` from a
user's file would stop the server. This runs all alternatives side by side (Thompson's way), and only tells whether
the expression is found somewhere in a text.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pipelines.language.syntax import Assert, Char, Choice, Flags, Node, PatternError, Repeat, Sequence, is_word, parse

__all__ = ["Pattern", "PatternError", "is_slashed", "slashed"]

SIZE_LIMIT = 5000
"""Instructions that an expression may have."""
WORK_LIMIT = 20_000_000
"""Instructions times characters of the text."""

_SYNTAX = re.compile(r"/(?P<body>.*)/(?P<flags>[ismU]*)", re.S)


def is_slashed(text: str) -> bool:
    """Whether `text` is written as an expression: `/…/` and flags."""
    return _SYNTAX.fullmatch(text) is not None


@lru_cache(maxsize=256)
def slashed(text: str) -> Pattern:
    """The expression written as `/…/flags` (flags `i`, `s`, `m`, `U`). Raises PatternError."""
    match = _SYNTAX.fullmatch(text)
    if match is None:
        raise PatternError("Invalid regular expression!")
    return Pattern(match["body"].replace("\\/", "/"), match["flags"])


class Pattern:
    """A compiled expression."""

    def __init__(self, source: str, flags: str = "") -> None:
        """Raises PatternError for what RE2 does not know: look-around, back-references, unbalanced parentheses."""
        node = parse(source, Flags(ignore_case="i" in flags, dot_all="s" in flags, multiline="m" in flags))
        self._emitted = 0
        self._program: list[Char | Assert | tuple[int, ...] | None] = []
        self._emit(node)
        self._program.append(None)

    def search(self, text: str) -> bool:
        """Whether the expression is found in `text`. Raises PatternError when that is too much work."""
        if len(self._program) * len(text) > WORK_LIMIT:
            raise PatternError("the text is too long for this regular expression")
        states: set[int] = set()
        for position in range(len(text) + 1):
            states.add(0)
            if self._follow(states, text, position):
                return True
            if position < len(text):
                states = self._step(states, text[position])
        return False

    def _step(self, states: set[int], character: str) -> set[int]:
        following = set()
        for state in states:
            instruction = self._program[state]
            if isinstance(instruction, Char) and instruction.test(character):
                following.add(state + 1)
        return following

    def _follow(self, states: set[int], text: str, position: int) -> bool:
        """Adds every state reached without a character; whether the end of the expression is among them."""
        queue = list(states)
        while queue:
            state = queue.pop()
            instruction = self._program[state]
            if instruction is None:
                return True
            targets: tuple[int, ...] = ()
            if isinstance(instruction, tuple):
                targets = instruction
            elif isinstance(instruction, Assert) and _holds(instruction.kind, text, position):
                targets = (state + 1,)
            for target in targets:
                if target not in states:
                    states.add(target)
                    queue.append(target)
        return False

    def _emit(self, node: Node) -> None:
        self._emitted += 1
        if self._emitted > SIZE_LIMIT:
            raise PatternError("the regular expression is too big")
        if isinstance(node, (Char, Assert)):
            self._program.append(node)
        elif isinstance(node, Sequence):
            for part in node.parts:
                self._emit(part)
        elif isinstance(node, Choice):
            self._emit_choice(node)
        else:
            self._emit_repeat(node)

    def _emit_choice(self, node: Choice) -> None:
        ends = []
        for option in node.options[:-1]:
            fork = len(self._program)
            self._program.append(())
            self._emit(option)
            ends.append(len(self._program))
            self._program.append(())
            self._program[fork] = (fork + 1, len(self._program))
        self._emit(node.options[-1])
        for end in ends:
            self._program[end] = (len(self._program),)

    def _emit_repeat(self, node: Repeat) -> None:
        for _ in range(node.least):
            self._emit(node.part)
        if node.most is None:
            fork = len(self._program)
            self._program.append(())
            self._emit(node.part)
            self._program.append((fork,))
            self._program[fork] = (fork + 1, len(self._program))
            return
        forks = []
        for _ in range(node.most - node.least):
            forks.append(len(self._program))
            self._program.append(())
            self._emit(node.part)
        for fork in forks:
            self._program[fork] = (fork + 1, len(self._program))


def _holds(kind: str, text: str, position: int) -> bool:
    if kind in "AZ":
        return position == (0 if kind == "A" else len(text))
    if kind == "^":
        return position == 0 or text[position - 1] == "\n"
    if kind == "$":
        return position == len(text) or text[position] == "\n"
    before = position > 0 and is_word(text[position - 1])
    after = position < len(text) and is_word(text[position])
    return (before != after) == (kind == "b")
