"""The syntax of RE2's regular expressions (https://github.com/google/re2/wiki/Syntax), as a tree.

Look-around and back-references are not part of it. Nor are Unicode classes (`\\p{…}`) here.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from dataclasses import dataclass

Test = Callable[[str], bool]
"""Whether a character is accepted."""

REPEAT_LIMIT = 1000
"""RE2's own limit of `{n,m}`."""
_DEPTH_LIMIT = 100


class PatternError(ValueError):
    """Not an expression of RE2's syntax, or one that is too big."""


@dataclass(frozen=True, slots=True)
class Char:
    test: Test


@dataclass(frozen=True, slots=True)
class Assert:
    kind: str


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    part: Node
    least: int
    most: int | None


Node = Char | Assert | Sequence | Choice | Repeat


@dataclass(frozen=True)
class Flags:
    ignore_case: bool = False
    dot_all: bool = False
    multiline: bool = False


def parse(source: str, flags: Flags) -> Node:
    """The tree of an expression. Raises PatternError."""
    return _Parser(source, flags).parse()


def is_word(character: str) -> bool:
    return character == "_" or (character.isascii() and character.isalnum())


_CLASSES: dict[str, Test] = {
    "d": lambda character: character in "0123456789",
    "w": is_word,
    "s": lambda character: character in "\t\n\f\r ",
}
_CLASSES |= {
    "D": lambda character: character not in "0123456789",
    "W": lambda character: not is_word(character),
    "S": lambda character: character not in "\t\n\f\r ",
}
_POSIX: dict[str, Test] = {
    "alnum": lambda character: character.isascii() and character.isalnum(),
    "alpha": lambda character: character.isascii() and character.isalpha(),
    "digit": _CLASSES["d"],
    "lower": lambda character: "a" <= character <= "z",
    "upper": lambda character: "A" <= character <= "Z",
    "punct": lambda character: character in string.punctuation,
    "space": lambda character: character in "\t\n\v\f\r ",
    "word": is_word,
    "xdigit": lambda character: character in "0123456789abcdefABCDEF",
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_ASSERTIONS = {"A": "A", "z": "Z", "b": "b", "B": "B"}
_QUANTIFIER = re.compile(r"\{(\d{1,4})(,(\d{0,4}))?\}")
_GROUP = re.compile(r"\?(?:P?<[A-Za-z_]\w*>|(?P<flags>[imsU]*(?:-[imsU]+)?)(?P<end>[:)]))")


class _Parser:
    """Recursive descent over RE2's syntax (https://github.com/google/re2/wiki/Syntax)."""

    def __init__(self, source: str, flags: Flags) -> None:
        self._source = source
        self._at = 0
        self._flags = flags
        self._depth = 0

    def parse(self) -> Node:
        node = self._choice()
        if self._at < len(self._source):
            raise PatternError("unexpected ): " + self._source)
        return node

    def _peek(self) -> str:
        return self._source[self._at] if self._at < len(self._source) else ""

    def _take(self) -> str:
        if self._at >= len(self._source):
            raise PatternError(f"the regular expression ends too soon: {self._source}")
        self._at += 1
        return self._source[self._at - 1]

    def _choice(self) -> Node:
        flags = self._flags
        options = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            options.append(self._sequence())
        self._flags = flags
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self._peek() not in ("", "|", ")"):
            part = self._atom()
            if part is not None:
                parts.append(self._quantified(part))
        return Sequence(tuple(parts))

    def _quantified(self, part: Node) -> Node:
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        character = self._peek()
        bounds: tuple[int, int | None] | None = simple.get(character)
        if bounds:
            self._at += 1
        elif match := _QUANTIFIER.match(self._source, self._at):
            least = int(match[1])
            most = least if match[2] is None else int(match[3]) if match[3] else None
            if least > REPEAT_LIMIT or (most is not None and (most > REPEAT_LIMIT or most < least)):
                raise PatternError("bad repetition operator: " + match[0])
            bounds = least, most
            self._at = match.end()
        if bounds is None:
            return part
        if self._peek() == "?":
            self._at += 1
        if self._peek() in ("*", "+", "?"):
            raise PatternError("bad repetition operator: " + self._source)
        return Repeat(part, *bounds)

    def _atom(self) -> Node | None:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return Char(self._class())
        if character == "\\":
            return self._escape()
        if character in "*+?":
            raise PatternError("no argument for repetition operator: " + character)
        return self._simple(character)

    def _simple(self, character: str) -> Node:
        if character == ".":
            return Char((lambda _: True) if self._flags.dot_all else (lambda one: one != "\n"))
        if character == "^":
            return Assert("^" if self._flags.multiline else "A")
        if character == "$":
            return Assert("$" if self._flags.multiline else "Z")
        return self._literal(character)

    def _literal(self, character: str) -> Node:
        return Char(self._folded(lambda one: one == character))

    def _folded(self, test: Test) -> Test:
        if not self._flags.ignore_case:
            return test
        return lambda one: test(one) or test(one.lower()) or test(one.upper())

    def _group(self) -> Node | None:
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            raise PatternError("the regular expression is nested too deep")
        outer = self._flags
        if self._peek() == "?":
            match = _GROUP.match(self._source, self._at)
            if match is None:
                raise PatternError("invalid perl operator: (" + self._source[self._at : self._at + 2])
            self._at = match.end()
            if match["flags"] is not None:
                self._flags = _changed(self._flags, match["flags"])
            if match["end"] == ")":
                self._depth -= 1
                return None
        node = self._choice()
        if self._peek() != ")":
            raise PatternError("missing closing ): " + self._source)
        self._at += 1
        self._depth -= 1
        self._flags = outer
        return node

    def _escape(self) -> Node:
        character = self._take()
        if character in _ASSERTIONS:
            return Assert(_ASSERTIONS[character])
        if character in _CLASSES:
            return Char(_CLASSES[character])
        return self._literal(self._escaped(character))

    def _escaped(self, character: str) -> str:
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character == "x":
            match = re.compile(r"([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\}").match(self._source, self._at)
            if match is None or int(match[1] or match[2], 16) > 0x10FFFF:
                raise PatternError("invalid escape sequence: \\x")
            self._at = match.end()
            return chr(int(match[1] or match[2], 16))
        if character.isalnum():
            raise PatternError("invalid escape sequence: \\" + character)
        return character

    def _class(self) -> Test:
        negated = self._peek() == "^"
        if negated:
            self._at += 1
        tests: list[Test] = []
        first = True
        while first or self._peek() != "]":
            tests.append(self._class_item())
            first = False
        self._at += 1
        either = self._folded(lambda one: any(test(one) for test in tests))
        return (lambda one: not either(one)) if negated else either

    def _class_item(self) -> Test:
        if match := re.compile(r"\[:(\^?)([a-z]+):\]").match(self._source, self._at):
            self._at = match.end()
            test = _POSIX.get(match[2])
            if test is None:
                raise PatternError("invalid character class range: " + match[0])
            return (lambda one: not test(one)) if match[1] else test
        character = self._take()
        if character == "\\":
            character = self._take()
            if character in _CLASSES:
                return _CLASSES[character]
            character = self._escaped(character)
        if self._peek() != "-" or self._source[self._at + 1 : self._at + 2] in ("]", ""):
            return lambda one: one == character
        self._at += 1
        last = self._take()
        if last == "\\":
            last = self._escaped(self._take())
        if last < character:
            raise PatternError(f"invalid character class range: {character}-{last}")
        return lambda one: character <= one <= last


def _changed(flags: Flags, text: str) -> Flags:
    on, _, off = text.partition("-")

    def flag(letter: str, before: bool) -> bool:
        return letter not in off and (before or letter in on)

    return Flags(
        ignore_case=flag("i", flags.ignore_case),
        dot_all=flag("s", flags.dot_all),
        multiline=flag("m", flags.multiline),
    )
