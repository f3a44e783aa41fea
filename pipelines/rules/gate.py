"""The gates of the standard: they are there, nothing takes them away, and they do their work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pipelines.context import Occasion
from pipelines.language.model import JobSpec, When
from pipelines.override import TAKEN_NAMES, TAKEN_PREFIXES
from pipelines.rules.duty import DUTIES, LANGUAGES, toothless, unmet
from pipelines.rules.rule import Spot, rule
from pipelines.rules.text import location_of, text_of
from pipelines.shell.command import Command
from pipelines.shell.reader import read_script
from pipelines.standard import GATES, GATES_BEFORE_PUBLISH, STAGES, stages
from pipelines.subject import Subject

APPROVALS: Final = ("approve-staging", "approve-production")
LOWEST_FLOOR: Final = 70
"""Coverage in per cent that every service's unit tests must reach."""

ON_MAIN: Final = ("package", "publish", "deploy-dev", "integration-test", "deploy-test")
"""Jobs that run on main too; those after them only for a release."""

_OWN_VARIABLES = frozenset({"GIT_DEPTH", "GIT_STRATEGY", "VERSION"})
_WITHOUT_FILES = ("empty", "none")
_FLOOR = re.compile(r">= *([0-9]{1,3})\b")


def jobs_of(environments: Iterable[str]) -> tuple[str, ...]:
    """The jobs of a pipeline that goes through these environments."""
    return tuple(job for stage in stages(tuple(environments)) for job in STAGES[stage])


def required_jobs(subject: Subject) -> tuple[str, ...]:
    """The jobs that the pipeline must have: by the catalogue, or else by the farthest environment that it speaks of."""
    if subject.expected is not None:
        return jobs_of(subject.expected.environments)
    known = ("dev", "test", "staging", "production")
    reached = [name for name in known if {f"deploy-{name}", f"approve-{name}"} & subject.jobs.keys()]
    return jobs_of(known[: known.index(reached[-1]) + 1] if reached else ())


def present_gates(subject: Subject) -> Iterator[str]:
    """The gates that are written in the file."""
    return (gate for gate in GATES if gate in subject.jobs)


def expected_on(occasion: Occasion, jobs: Iterable[str]) -> Iterator[str]:
    """Which of the jobs run on an occasion."""
    for job in jobs:
        early = job in GATES_BEFORE_PUBLISH or job == "build"
        if early or occasion is Occasion.RELEASE_TAG or (occasion is Occasion.MAIN and job in ON_MAIN):
            yield job


@rule("gate-missing", standard=True, remedy="put the gate back: no pipeline of the standard is without it")
def gates_are_there(subject: Subject) -> Iterator[Spot]:
    """Every gate that the standard asks for is a job of the file."""
    for job in required_jobs(subject):
        if job not in subject.jobs and not subject.problems:
            kind = "gate" if job in GATES else "job"
            yield Spot(message=f"{kind} {job!r} is not there", location=subject.at("stages"))


@rule("gate-skipped", standard=True, remedy="remove what leaves the gate out: its rules, or the workflow's")
def gates_run_on_every_occasion(subject: Subject) -> Iterator[Spot]:
    """Every job runs on each occasion on which the standard wants it."""
    missed: dict[str, list[str]] = {}
    for occasion in Occasion:
        graph = subject.graphs.get(occasion)
        for job in expected_on(occasion, required_jobs(subject)):
            if job in subject.jobs and (graph is None or job not in graph.jobs):
                missed.setdefault(job, []).append(occasion)
    for job, occasions in missed.items():
        message = f"{job!r} does not run on: {', '.join(occasions)}"
        yield Spot(message=message, location=subject.at(job, "rules"))


@rule("gate-conditional", standard=True, remedy="remove the condition: what is before publish runs in every pipeline")
def gates_have_no_conditions(subject: Subject) -> Iterator[Spot]:
    """No gate before publish has rules of its own, which on some occasion might leave it out."""
    for gate in present_gates(subject):
        for key in ("rules", "only", "except"):
            if gate in GATES_BEFORE_PUBLISH and subject.jobs[gate].get(key) is not None:
                message = f"gate {gate!r} has `{key}`, which may leave it out"
                yield Spot(message=message, location=subject.at(gate, key))


@rule("gate-may-fail", standard=True, remedy="remove `allow_failure`: what fails here must stop everything after it")
def gates_may_not_fail(subject: Subject) -> Iterator[Spot]:
    """No gate is allowed to fail, on any occasion."""
    for gate in present_gates(subject):
        value = subject.jobs[gate].get("allow_failure")
        weak = [job for job in _compiled(subject, gate) if job.allow_failure or job.allow_failure_exit_codes]
        if value or weak:
            yield Spot(message=f"gate {gate!r} is allowed to fail", location=subject.at(gate, "allow_failure"))


@rule("gate-not-automatic", standard=True, remedy="remove `when`: the gate runs as soon as its turn comes")
def gates_run_by_themselves(subject: Subject) -> Iterator[Spot]:
    """Every gate but the approvals runs by itself, after what it needs has succeeded."""
    for gate in present_gates(subject):
        found = {job.when for job in _compiled(subject, gate)} - {When.ON_SUCCESS}
        when = subject.jobs[gate].get("when")
        if gate not in APPROVALS and (found or when not in (None, "on_success")):
            said = ", ".join(sorted(found)) or str(when)[:40]
            yield Spot(message=f"gate {gate!r} has `when: {said}`", location=subject.at(gate, "when"))


@rule(
    "approval-not-manual",
    standard=True,
    remedy="give it a rule with `when: manual` and `allow_failure: false`",
)
def approvals_are_given_by_people(subject: Subject) -> Iterator[Spot]:
    """Every approval waits for a person, and nothing goes on without it."""
    for gate in APPROVALS:
        for occasion, graph in subject.graphs.items():
            job = graph.jobs.get(gate)
            if job is not None and job.when is not When.MANUAL:
                message = f"{gate!r} waits for nobody on {occasion}: `when: {job.when}`"
                yield Spot(message=message, location=subject.at(gate, "rules"))
                break


@rule("gate-idle", standard=True, remedy="let the gate's script call the tool, such that its failure ends the job")
def gates_do_their_work(subject: Subject) -> Iterator[Spot]:
    """Every gate's script calls its tool, and the tool's failure ends the job."""
    language = _language(subject)
    for gate in present_gates(subject):
        for call in unmet(DUTIES[gate], language, _commands(subject, gate)):
            message = f"gate {gate!r} does not call `{' '.join(call)}` such that its failure ends the job"
            yield Spot(message=message, location=subject.at(gate, "script"))
    for command in _commands(subject, "publish"):
        if command.calls("curl", "--upload-file"):
            return
    if "publish" in subject.jobs:
        message = "gate 'publish' uploads nothing (`curl --upload-file`)"
        yield Spot(message=message, location=subject.at("publish", "script"))


@rule("coverage-floor", standard=True, remedy="demand what the service's tier demands, or more")
def coverage_has_a_floor(subject: Subject) -> Iterator[Spot]:
    """The unit tests' job demands at least the coverage of the service's tier."""
    wanted = subject.expected.floor if subject.expected is not None else LOWEST_FLOOR
    for command in _commands(subject, "unit-test"):
        if command.counts and command.calls("awk", "BEGIN*"):
            found = [int(number) for number in _FLOOR.findall(" ".join(command.words))]
            if not found or min(found) < wanted:
                message = f"the unit tests need only {min(found, default=0)} % coverage; the tier's floor is {wanted} %"
                yield Spot(message=message, location=subject.at("unit-test", "script"))


@rule("gate-hides-failure", standard=True, remedy="remove it: a gate that hides its failure is none")
def gates_hide_no_failure(subject: Subject) -> Iterator[Spot]:
    """No gate's script hides a failure (`|| true`, `set +e`, `exit 0`, a trap that exits well)."""
    for gate in present_gates(subject):
        lines = subject.script(gate)
        for weakness in read_script(text_of(lines)).weaknesses:
            message = f"gate {gate!r} hides a failure: `{weakness.text}`"
            yield Spot(message=message, location=location_of(lines, weakness.line))


@rule("gate-toothless", standard=True, remedy="remove it: with it the tool finds less than it is there to find")
def tools_keep_their_teeth(subject: Subject) -> Iterator[Spot]:
    """No option, variable or empty folder keeps a gate's tool from finding anything."""
    for gate in present_gates(subject):
        lines = subject.script(gate)
        for command in read_script(text_of(lines)).commands:
            for option in toothless(command):
                message = f"gate {gate!r} calls {command.program} with {option!r}"
                yield Spot(message=message, location=location_of(lines, command.line))
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
        text = text_of(subject.script(gate))
        for kind in duty.reports:
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


def _compiled(subject: Subject, job: str) -> Iterator[JobSpec]:
    """The job on each occasion on which it runs."""
    return (graph.jobs[job] for graph in subject.graphs.values() if job in graph.jobs)


def _commands(subject: Subject, job: str) -> tuple[Command, ...]:
    return read_script(text_of(subject.script(job))).commands if job in subject.jobs else ()


def _variables(subject: Subject, gate: str) -> list[tuple[str, str]]:
    """The configuration's variables of a gate, on whatever occasion it runs."""
    found = {variable.key: variable.value for job in _compiled(subject, gate) for variable in job.variables}
    return sorted(found.items())


def _language(subject: Subject) -> str:
    """The language of the service: by the catalogue, or else the one whose duties are met best."""
    if subject.expected is not None:
        return subject.expected.language

    def faults(language: str) -> int:
        gates = [gate for gate in present_gates(subject) if DUTIES[gate].by_language]
        return sum(len(list(unmet(DUTIES[gate], language, _commands(subject, gate)))) for gate in gates)

    return min(LANGUAGES, key=faults)
