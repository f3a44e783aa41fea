"""What comes from the network into a shell or an interpreter without being looked at."""

from __future__ import annotations

from typing import Final

import tree_sitter

from pipelines.shell.command import WRAPPERS
from pipelines.shell.node import words_of

_FETCHERS: Final = frozenset({"curl", "wget"})
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash"})
_READERS: Final = frozenset({"eval", "source", "."})
_INTERPRETERS: Final = frozenset({"python", "python3", "perl", "ruby", "node", "php"})
_OWN_TEXT: Final = frozenset({"-c", "-e", "-m", "-n", "-p"})
"""Options after which an interpreter has its program already, and reads only data."""


def fetcher(words: tuple[str, ...]) -> str:
    """The program that fetches; empty if none does."""
    name = _program(words)
    return name if name in _FETCHERS else ""


def runner(words: tuple[str, ...], *, piped: bool = False) -> str:
    """The program that runs what it is given; with `piped`, given by standard input. Empty if there is none."""
    name = _program(words)
    if piped:
        has_program = bool(_OWN_TEXT & set(words)) or any(not word.startswith("-") for word in _rest(words, name))
        if name in _SHELLS:
            return "" if "-c" in words else name
        return name if name in _INTERPRETERS and (not has_program or words[-1] == "-") else ""
    return name if name in _SHELLS or name in _READERS else ""


def fetcher_inside(node: tree_sitter.Node) -> str:
    """The program that fetches in a substitution of this command; empty if none does."""
    waiting = [(child, False) for child in node.named_children]
    while waiting:
        child, inside = waiting.pop()
        if inside and child.type == "command" and (name := fetcher(words_of(child))):
            return name
        inside = inside or child.type in ("command_substitution", "process_substitution")
        waiting += [(one, inside) for one in child.named_children]
    return ""


def _program(words: tuple[str, ...]) -> str:
    for word in words:
        name = word.rpartition("/")[2]
        if name not in WRAPPERS and not word.startswith("-") and "=" not in word:
            return name
    return ""


def _rest(words: tuple[str, ...], name: str) -> tuple[str, ...]:
    places = [index for index, word in enumerate(words) if word.rpartition("/")[2] == name]
    return words[places[0] + 1 :] if places else ()
