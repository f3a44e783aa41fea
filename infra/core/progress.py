"""How long work tells what it is doing: the code that works calls this, the command line draws it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Progress(Protocol):
    """Receives what a piece of work is doing. Safe to call from several threads."""

    def start(self, item: str, doing: str) -> None:
        """`item` (a tool, a server, a stack, a service) is being worked on; `doing` says what is waited for."""

    def done(self, item: str, outcome: str) -> None:
        """`item` is finished; `outcome` is a few words, such as "1.2.3, cached"."""

    def failed(self, item: str, reason: str) -> None:
        """`item` failed."""


class Silent:
    """Progress that nobody watches."""

    def start(self, item: str, doing: str) -> None:
        """Nothing is shown."""

    def done(self, item: str, outcome: str) -> None:
        """Nothing is shown."""

    def failed(self, item: str, reason: str) -> None:
        """Nothing is shown."""


class Phases(Protocol):
    """A run as a row of phases, each with a title."""

    def phase(self, title: str) -> AbstractContextManager[Progress]:
        """The progress of the phase that begins now and ends with the `with` block."""
