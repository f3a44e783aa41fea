"""A job by itself: its stage, what it extends, its environment, its limits, its rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.core.document import nearest
from pipelines.language import duration, expression
from pipelines.rules.need import stage_of, stage_order
from pipelines.rules.refusal import refusals, with_refusals
from pipelines.rules.rule import Spot, rule
from pipelines.subject import Subject

LONGEST_TIMEOUT = 31 * 86_400
"""Seconds: GitLab's own limit."""


@rule("stage-undeclared", remedy="add the stage to `stages`, or put the job in one that is there")
def stages_are_declared(subject: Subject) -> Iterator[Spot]:
    """Every job's stage is one of `stages`."""
    yield from with_refusals(subject, "stage-undeclared", _undeclared(subject))


def _undeclared(subject: Subject) -> Iterator[Spot]:
    order = stage_order(subject)
    for job in subject.jobs if not subject.unread or "stages" in subject.document.value else ():
        stage = stage_of(subject, job)
        if stage not in order:
            message = f"job {job!r} is in stage {stage!r}, which is not declared"
            yield Spot(message=message, location=subject.at(job, "stage"), fix=nearest(stage, order))


@rule("script-missing", remedy="give the job a `script`, or a dot before its name if it is only to be extended")
def jobs_do_something(subject: Subject) -> Iterator[Spot]:
    """Every job has something to do: `script`, `run` or `trigger`."""
    yield from with_refusals(subject, "script-missing", _idle(subject))


def _idle(subject: Subject) -> Iterator[Spot]:
    for job, value in subject.jobs.items():
        has_script = bool(value.get("script")) or "run" in value or "trigger" in value
        if not has_script and not (subject.unread and "extends" in value):
            yield Spot(message=f"job {job!r} has no script", location=subject.at(job))


@rule("extends-undefined", remedy="extend a job of this file or of one that it includes")
def bases_exist(subject: Subject) -> Iterator[Spot]:
    """Every name in `extends` is there, and no job extends itself."""
    if subject.unread:
        return  # The base may be in a file that was not followed.
    yield from with_refusals(subject, "extends-undefined", _unknown_bases(subject))


def _unknown_bases(subject: Subject) -> Iterator[Spot]:
    for name, value in subject.written.items():
        extends = value.get("extends") if isinstance(value, dict) else None
        for base in [extends] if isinstance(extends, str) else extends if isinstance(extends, list) else ():
            if isinstance(base, str) and base not in subject.written:
                message = f"{name!r} extends {base!r}, which is not there"
                yield Spot(message=message, location=subject.at(name, "extends"), fix=nearest(base, subject.written))


@rule("on-stop-undefined", remedy="let `on_stop` name a job of the same environment with `action: stop`")
def environments_can_be_stopped(subject: Subject) -> Iterator[Spot]:
    """Every `on_stop` names a job that stops the same environment."""
    yield from with_refusals(subject, "on-stop-undefined", _bad_stops(subject))


def _bad_stops(subject: Subject) -> Iterator[Spot]:
    for job, value in subject.jobs.items():
        environment = value.get("environment")
        stop = environment.get("on_stop") if isinstance(environment, dict) else None
        if not isinstance(stop, str) or not isinstance(environment, dict):
            continue
        other = subject.jobs.get(stop, {}).get("environment")
        place = subject.at(job, "environment", "on_stop")
        if stop not in subject.jobs:
            message = f"job {job!r} is stopped by {stop!r}, which is not a job"
            yield Spot(message=message, location=place, fix=nearest(stop, subject.jobs))
        elif not isinstance(other, dict) or other.get("action") != "stop":
            yield Spot(message=f"job {stop!r} stops what {job!r} starts, and has no `action: stop`", location=place)
        elif other.get("name") != environment.get("name"):
            yield Spot(message=f"job {stop!r} stops another environment than {job!r} starts", location=place)


@rule("environment-bad", remedy="give the environment a name of letters, digits, spaces and - _ / . $ { }")
def environments_are_named(subject: Subject) -> Iterator[Spot]:
    """Every environment has a name that GitLab takes, and keys that it knows."""
    yield from refusals(subject, "environment-bad")


@rule("timeout-bad", remedy="write a duration such as `30 minutes` or `1h 30m`, above zero and at most 31 days")
def timeouts_are_durations(subject: Subject) -> Iterator[Spot]:
    """Every `timeout` is a duration within GitLab's limit."""
    yield from with_refusals(subject, "timeout-bad", _bad_timeouts(subject))


def _bad_timeouts(subject: Subject) -> Iterator[Spot]:
    holders: list[tuple[str, Any]] = [("default", subject.merged.get("default")), *subject.jobs.items()]
    for name, value in holders:
        timeout = value.get("timeout") if isinstance(value, dict) else None
        if timeout is None or (isinstance(timeout, str) and "$" in timeout):
            continue
        seconds = _seconds(timeout)
        if seconds is None or not 0 < seconds <= LONGEST_TIMEOUT:
            message = f"{name!r} has the timeout {timeout!r}, which is no duration from a second to 31 days"
            yield Spot(message=message, location=subject.at(name, "timeout"))


def _seconds(value: Any) -> int | None:
    try:
        return duration.parse(str(value)) if isinstance(value, (str, int, float)) else None
    except (ValueError, OverflowError):
        return None


@rule("rules-syntax", remedy="see https://docs.gitlab.com/ci/jobs/job_rules/ for what `rules` may say")
def rules_parse(subject: Subject) -> Iterator[Spot]:
    """Every `rules` can be read, and every `if` in it is an expression."""
    yield from with_refusals(subject, "rules-syntax", _bad_conditions(subject))


def _bad_conditions(subject: Subject) -> Iterator[Spot]:
    workflow = subject.merged.get("workflow")
    holders = [("workflow", workflow)] if isinstance(workflow, dict) else []
    for name, value in [*holders, *subject.jobs.items()]:
        rules = value.get("rules")
        for index, item in enumerate(rules if isinstance(rules, list) else ()):
            condition = item.get("if") if isinstance(item, dict) else None
            if condition is None:
                continue
            try:
                expression.check(condition if isinstance(condition, str) else "")
            except expression.ExpressionError as error:
                message = f"{name!r} asks {str(condition)[:80]!r}, which is no expression: {error}"
                yield Spot(message=message, location=subject.at(name, "rules", index, "if"))
