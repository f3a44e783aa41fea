"""Shell text of jobs as the rules take it: scripts in one piece, their lines back in the file, their commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipelines.shell.command import Command
from pipelines.shell.reader import read_script
from pipelines.subject import Location, ScriptLine, Subject

_INPUT = re.compile(r"\$\[\[[^\]\n]*\]\]")


def text_of(lines: Sequence[ScriptLine]) -> str:
    """The script as the shell sees it. Inputs of components (`$[[ … ]]`), which GitLab puts in, are plain words."""
    return _INPUT.sub("input", "".join(f"{line.text}\n" for line in lines))


def location_of(lines: Sequence[ScriptLine], line: int) -> Location:
    """Where line `line` (from 1) of a script is in the file."""
    return lines[min(max(line, 1), len(lines)) - 1].location


def commands_of(subject: Subject) -> Iterator[tuple[str, Command, Location]]:
    """Every command of every script, with its job and its place."""
    for job, lines in subject.scripts():
        for command in read_script(text_of(lines)).commands:
            yield job, command, location_of(lines, command.line)
