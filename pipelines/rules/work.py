"""The gates of the standard do their work: they call their tools, and hear what these say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pipelines.override import TAKEN_NAMES, TAKEN_PREFIXES
from pipelines.rules.duty import DUTIES, LANGUAGES, toothless, unmet
from pipelines.rules.gate import compiled, present_gates
from pipelines.rules.rule import Spot, rule
from pipelines.subject import Subject

LOWEST_FLOOR: Final = 70
"""Coverage in per cent that every service's unit tests must reach."""

_OWN_VARIABLES = frozenset({"GIT_DEPTH", "GIT_STRATEGY", "VERSION"})
_WITHOUT_FILES = ("empty", "none")
_FLOOR = re.compile(r">= *([0-9]{1,3})\b")
_OTHER_PATH = re.compile(r"^\s*(?:export\s+)?PATH=(?!\"\$VIRTUAL_ENV/bin:\$PATH\"\s*$)")


@rule("gate-idle", standard=True, remedy="let the gate's script call the tool, such that its failure ends the job")
def gates_do_their_work(subject: Subject) -> Iterator[Spot]:
    """Every gate's script calls its tool, and the tool's failure ends the job."""
    language = _language(subject)
    for gate in present_gates(subject):
        for key in ("trigger", "run"):
            if key in subject.jobs[gate]:
                yield Spot(message=f"gate {gate!r} has `{key}` instead of its script", location=subject.at(gate, key))
        for call in unmet(DUTIES[gate], language, subject.script(gate).does.commands):
            message = f"gate {gate!r} does not call `{' '.join(call)}` such that its failure ends the job"
            yield Spot(message=message, location=subject.at(gate, "script"))
    commands = subject.script("publish").does.commands
    if "publish" in subject.jobs and not any(one.calls("curl", "--upload-file") for one in commands):
        message = "gate 'publish' uploads nothing (`curl --upload-file`)"
        yield Spot(message=message, location=subject.at("publish", "script"))
    if any(one.calls("publish()") and not one.counts for one in commands):
        message = "gate 'publish' goes on when something could not be published"
        yield Spot(message=message, location=subject.at("publish", "script"))


@rule("coverage-floor", standard=True, remedy="demand what the service's tier demands, or more")
def coverage_has_a_floor(subject: Subject) -> Iterator[Spot]:
    """The unit tests' job demands at least the coverage of the service's tier."""
    wanted = subject.expected.floor if subject.expected is not None else LOWEST_FLOOR
    for command in subject.script("unit-test").does.commands:
        if command.counts and command.calls("awk", "BEGIN*"):
            found = [int(number) for number in _FLOOR.findall(" ".join(command.words))]
            if not found or min(found) < wanted:
                message = f"the unit tests need only {min(found, default=0)} % coverage; the tier's floor is {wanted} %"
                yield Spot(message=message, location=subject.at("unit-test", "script"))


@rule("gate-hides-failure", standard=True, remedy="remove it: a gate that hides its failure is none")
def gates_hide_no_failure(subject: Subject) -> Iterator[Spot]:
    """No gate's script hides a failure (`|| true`, `set +e`, `exit 0`, a trap that exits well)."""
    for gate in present_gates(subject):
        script = subject.script(gate)
        for weakness in script.does.weaknesses:
            message = f"gate {gate!r} hides a failure: `{weakness.text}`"
            yield Spot(message=message, location=script.at(weakness.line))


@rule("gate-toothless", standard=True, remedy="remove it: with it the tool finds less than it is there to find")
def tools_keep_their_teeth(subject: Subject) -> Iterator[Spot]:
    """No option, variable or empty folder keeps a gate's tool from finding anything."""
    for gate in present_gates(subject):
        script = subject.script(gate)
        for command in script.does.commands:
            for option in toothless(command):
                message = f"gate {gate!r} calls {command.program} with {option!r}"
                yield Spot(message=message, location=script.at(command.line))
        for number, line in enumerate(script.lines, 1):
            if _OTHER_PATH.match(line.text):
                message = f"gate {gate!r} looks for its tools in another place"
                yield Spot(message=message, location=script.at(number))
        for name, value in _variables(subject, gate):
            taken = name in TAKEN_NAMES or name.startswith(TAKEN_PREFIXES)
            blind = name == "GIT_STRATEGY" and value in _WITHOUT_FILES and DUTIES[gate].reads_source
            if (taken and name not in _OWN_VARIABLES) or blind:
                message = f"gate {gate!r} has the variable {name}, which changes what its tools do"
                yield Spot(message=message, location=subject.at(gate, "variables", name))


@rule("gate-report-missing", standard=True, remedy="keep what the gate found as an artifact, also when it failed")
def gates_leave_their_reports(subject: Subject) -> Iterator[Spot]:
    """Every gate leaves the report that it is there to make."""
    for gate in present_gates(subject):
        duty = DUTIES[gate]
        artifacts = subject.jobs[gate].get("artifacts")
        held: dict[str, Any] = artifacts if isinstance(artifacts, dict) else {}
        paths, reports = held.get("paths") or [], held.get("reports") or {}
        text = subject.script(gate).text
        for kind in duty.reports:
            if kind == "coverage_report" and _language(subject) not in LANGUAGES:
                continue
            if kind not in reports:
                yield Spot(message=f"gate {gate!r} gives no {kind} report", location=subject.at(gate, "artifacts"))
        for path in duty.paths:
            kept = [one for one in paths if isinstance(one, str) and path in ("*", one)]
            if not kept or held.get("when") == "on_failure":
                said = "its report" if path == "*" else repr(path)
                yield Spot(message=f"gate {gate!r} does not keep {said}", location=subject.at(gate, "artifacts"))
            for one in kept:
                if one not in text and not one.startswith("target/"):
                    message = f"gate {gate!r} keeps {one!r}, which its script does not make"
                    yield Spot(message=message, location=subject.at(gate, "artifacts", "paths"))


def _variables(subject: Subject, gate: str) -> list[tuple[str, str]]:
    """The configuration's variables of a gate, on whatever occasion it runs."""
    found = {variable.key: variable.value for job in compiled(subject, gate) for variable in job.variables}
    return sorted(found.items())


def _language(subject: Subject) -> str:
    """The language of the service: by the catalogue, or else the one whose duties are met best; "" for none of them."""
    if subject.expected is not None:
        return subject.expected.language

    def met(language: str) -> int:
        gates = [gate for gate in present_gates(subject) if DUTIES[gate].by_language]
        duties = [(DUTIES[gate], subject.script(gate).does.commands) for gate in gates]
        return sum(not list(unmet(duty, language, commands)) for duty, commands in duties)

    best = max(LANGUAGES, key=met)
    return best if met(best) else ""
