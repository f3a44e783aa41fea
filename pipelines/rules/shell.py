"""Shell text: bash can read it, ShellCheck has nothing against it, and it runs nothing that it just fetched."""

from __future__ import annotations

from collections.abc import Iterator

from infra.core.finding import Severity
from pipelines.rules.rule import Spot, rule
from pipelines.script import JobScript
from pipelines.shell.command import Fetched
from pipelines.shell.problem import ShellProblem, shellcheck_problems, syntax_problems
from pipelines.subject import Subject

_SEVERITIES = {"error": Severity.WARNING, "warning": Severity.WARNING}
"""Of what ShellCheck says about other people's scripts; Forgeline's own must be without any remark."""


@rule("shell-syntax", remedy="correct the shell text: bash stops at it before it runs anything")
def scripts_are_bash(subject: Subject) -> Iterator[Spot]:
    """bash can read every script."""
    for job, script in subject.scripts:
        for problem in syntax_problems(script.text):
            yield _spot(job, script, problem)


@rule("shellcheck", remedy="see https://www.shellcheck.net/wiki/ for what the code means and how to write it instead")
def scripts_pass_shellcheck(subject: Subject) -> Iterator[Spot]:
    """ShellCheck has nothing to say about any script."""
    found = shellcheck_problems(script.text for _, script in subject.scripts)
    for job, script in subject.scripts:
        for problem in found[script.text]:
            severity = None if subject.standard else _SEVERITIES.get(problem.level, Severity.NOTE)
            yield _spot(job, script, problem, severity)


@rule("curl-pipe-shell", remedy="fetch a pinned version to a file, check its sha256, then run it")
def nothing_fetched_is_run_unchecked(subject: Subject) -> Iterator[Spot]:
    """No script runs what it fetches from the network without looking at it (`curl … | sh`)."""
    for job, script in subject.scripts:
        for fetched in script.does.fetched:
            yield Spot(message=_message(job, fetched), location=script.at(fetched.line))


def _message(job: str, fetched: Fetched) -> str:
    return f"job {job!r} gives what {fetched.by} fetches to {fetched.to}, unseen"


def _spot(job: str, script: JobScript, problem: ShellProblem, severity: Severity | None = None) -> Spot:
    message = f"job {job!r}: {problem.message}"
    return Spot(message=message, location=script.at(problem.line), severity=severity)
