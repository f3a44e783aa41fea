"""Shell text of jobs as the rules take it: scripts in one piece, their lines back in the file, their commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.shell.command import Command, Script
from pipelines.shell.reader import read_script
from pipelines.subject import Location, ScriptLine, Subject

_INPUT = re.compile(r"\$\[\[[^\]\n]*\]\]")


def text_of(lines: Sequence[ScriptLine]) -> str:
    """The script as the shell sees it. Inputs of components (`$[[ … ]]`), which GitLab puts in, are plain words."""
    return _INPUT.sub("input", "".join(f"{line.text}\n" for line in lines))


def read(subject: Subject, lines: Sequence[ScriptLine]) -> Script:
    """What a script of the file does.

    In Forgeline's own pipelines the service's name, where it is no word that the shell could know, is read as a word
    that is the same for all services: so a thousand services have a few scripts, each read once.
    """
    text = text_of(lines)
    name = Path(subject.file).stem
    if subject.standard and "-" in name:
        text = text.replace(name, "a-service").replace(name.replace("-", "_"), "a_service")
    return read_script(text)


def script_in(subject: Subject, job: str) -> Script:
    """What a job's script does; nothing if there is no such job."""
    return read(subject, subject.script(job)) if job in subject.jobs else read_script("")


def location_of(lines: Sequence[ScriptLine], line: int) -> Location:
    """Where line `line` (from 1) of a script is in the file."""
    return lines[min(max(line, 1), len(lines)) - 1].location


def commands_of(subject: Subject) -> Iterator[tuple[str, Command, Location]]:
    """Every command of every script, with its job and its place."""
    for job, lines in subject.scripts():
        for command in read(subject, lines).commands:
            yield job, command, location_of(lines, command.line)
