"""A script as commands: which programs it calls, and whether their failure ends the job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

WRAPPERS: Final = frozenset(
    {"bunx", "command", "env", "exec", "ionice", "nice", "npx", "sudo", "time", "timeout", "uvx", "xargs"}
)
"""Programs that run the program that they are given."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program with its words, quotes taken off, variables as they are written."""

    words: tuple[str, ...]
    line: int
    """From 1, in the script."""
    counts: bool
    """Whether it surely runs and its failure ends the job."""
    function: bool = False
    """Whether it is a function of the script, which may have the name of a program."""

    @cached_property
    def program(self) -> str:
        """The program's name without its folder, behind wrappers such as `npx` and `timeout` the one that they run."""
        return self.words[0].rpartition("/")[2] if self.words else ""

    @cached_property
    def names(self) -> frozenset[str]:
        """The words without folders: one of them is the program that runs."""
        return frozenset(word.rpartition("/")[2] for word in self.words)

    def calls(self, program: str, *wanted: str) -> bool:
        """Whether it runs `program` with all the `wanted` words (a word that ends in `*` stands for its beginning).

        A program that ends in `()` is a function of the script.
        """
        if self.function != program.endswith("()"):
            return False
        program = program.removesuffix("()")
        if program.rpartition("/")[2] not in self.names:
            return False
        words = self.words[1:]
        name = self.words[0] if "/" in program else self.program
        wrapped = name in WRAPPERS and any(word.rpartition("/")[2] == program for word in words)
        if name != program and not wrapped:
            return False
        return all(any(_fits(word, one) for word in words) for one in wanted)


def _fits(word: str, wanted: str) -> bool:
    return word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted


@dataclass(frozen=True, kw_only=True)
class Weakness:
    """A piece of a script that hides failures."""

    text: str
    line: int


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What comes from the network and is run as it comes."""

    by: str
    to: str
    line: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Script:
    """What a script calls, and where it hides failures. Equal is only the same: that is quickly told apart."""

    commands: tuple[Command, ...]
    weaknesses: tuple[Weakness, ...]
    fetched: tuple[Fetched, ...]


def calls(commands: Iterable[Command], program: str, *wanted: str) -> list[Command]:
    """The commands that run `program` with these words."""
    return [one for one in commands if one.calls(program, *wanted)]
