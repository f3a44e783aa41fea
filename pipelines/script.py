"""The shell text of a job: its lines and their places in the file, and what it does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pipelines.shell.command import Script
from pipelines.shell.reader import read_script

_INPUT: Final = re.compile(r"\$\[\[[^\]\n]*\]\]")


@dataclass(frozen=True, kw_only=True)
class Location:
    """A place in a file; line and column from 1, 0 where it is not known."""

    file: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, kw_only=True)
class ScriptLine:
    """A line of shell text and where it stands."""

    text: str
    location: Location


@dataclass(frozen=True, kw_only=True)
class JobScript:
    """Lines that one shell runs. `service` is a name that is read as any other, "" for none.

    In Forgeline's own pipelines the service's name, where it is no word that the shell could know, is read as a word
    that is the same for all services: so a thousand services have a few scripts, each read once.
    """

    lines: tuple[ScriptLine, ...]
    service: str = ""

    @cached_property
    def text(self) -> str:
        """The script as the shell sees it. Inputs of components (`$[[ … ]]`), which GitLab puts in, are plain words."""
        return _INPUT.sub("input", "".join(f"{line.text}\n" for line in self.lines))

    @cached_property
    def does(self) -> Script:
        """What the script does."""
        text = self.text
        if "-" in self.service:
            text = text.replace(self.service, "a-service").replace(self.service.replace("-", "_"), "a_service")
        return read_script(text)

    def at(self, line: int) -> Location:
        """Where line `line` (from 1) of the script is in the file."""
        return self.lines[min(max(line, 1), len(self.lines)) - 1].location
