"""The one family of errors: what is wrong, where, and how to mend it.

Library code raises these; only the command line prints them and turns `exit_code` into the process's exit code.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the `forgeline` command."""

    FINE = 0
    FINDINGS = 1
    BAD_INPUT = 2
    SERVER_FAILED = 3
    BUG = 70
    INTERRUPTED = 130


class ForgelineError(Exception):
    """Something a person can act on. Never holds a secret's value.

    `what` is wrong, `where` it is (file, key, line, server), `fix` says what to do.
    `detail` is longer material to show below, such as the last lines of a server's log.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.SERVER_FAILED

    def __init__(self, what: str, *, where: str = "", fix: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix
        self.detail = detail

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.detail:
            lines.append(self.detail)
        if self.fix:
            lines.append(f"fix: {self.fix}")
        return "\n".join(lines)


class BadInputError(ForgelineError):
    """What the user gave is wrong: a file, an option, a name. Nothing was touched."""

    exit_code = ExitCode.BAD_INPUT


class ToolError(ForgelineError):
    """A tool could not be had or did not do its work."""


class ServerError(ForgelineError):
    """A server did not start, died, or answered with an error."""


class StackError(ForgelineError):
    """A stack's update failed."""


class FindingsError(ForgelineError):
    """A check found something: drift, a failed proof, a red pipeline."""

    exit_code = ExitCode.FINDINGS
