"""Shell text: bash can read it, ShellCheck has nothing against it, and it runs nothing that it just fetched."""

from __future__ import annotations

from collections.abc import Iterator

from infra.core.finding import Severity
from pipelines.rules.rule import Spot, rule
from pipelines.rules.text import location_of, read, text_of
from pipelines.shell.command import Fetched
from pipelines.shell.problem import ShellProblem, shellcheck_problems, syntax_problems
from pipelines.subject import ScriptLine, Subject

_SEVERITIES = {"error": Severity.WARNING, "warning": Severity.WARNING}
"""Of what ShellCheck says about other people's scripts; Forgeline's own must be without any remark."""


@rule("shell-syntax", remedy="correct the shell text: bash stops at it before it runs anything")
def scripts_are_bash(subject: Subject) -> Iterator[Spot]:
    """bash can read every script."""
    for job, lines in subject.scripts():
        for problem in syntax_problems(text_of(lines)):
            yield _spot(job, lines, problem)


@rule("shellcheck", remedy="see https://www.shellcheck.net/wiki/ for what the code means and how to write it instead")
def scripts_pass_shellcheck(subject: Subject) -> Iterator[Spot]:
    """ShellCheck has nothing to say about any script."""
    found = shellcheck_problems(text_of(lines) for _, lines in subject.scripts())
    for job, lines in subject.scripts():
        for problem in found[text_of(lines)]:
            severity = None if subject.standard else _SEVERITIES.get(problem.level, Severity.NOTE)
            yield _spot(job, lines, problem, severity)


@rule("curl-pipe-shell", remedy="fetch a pinned version to a file, check its sha256, then run it")
def nothing_fetched_is_run_unchecked(subject: Subject) -> Iterator[Spot]:
    """No script runs what it fetches from the network without looking at it (`curl … | sh`)."""
    for job, lines in subject.scripts():
        for fetched in read(subject, lines).fetched:
            yield Spot(message=_message(job, fetched), location=location_of(lines, fetched.line))


def _message(job: str, fetched: Fetched) -> str:
    return f"job {job!r} gives what {fetched.by} fetches to {fetched.to}, unseen"


def _spot(job: str, lines: tuple[ScriptLine, ...], problem: ShellProblem, severity: Severity | None = None) -> Spot:
    message = f"job {job!r}: {problem.message}"
    return Spot(message=message, location=location_of(lines, problem.line), severity=severity)
