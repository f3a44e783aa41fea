"""The gates of the standard: they are there, they run on every occasion, and nothing lets anybody pass them by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pipelines.context import Occasion
from pipelines.language.model import JobSpec, When
from pipelines.rules.rule import Spot, rule
from pipelines.standard import GATES, GATES_BEFORE_PUBLISH, STAGES, stages
from pipelines.subject import Subject

APPROVALS: Final = ("approve-staging", "approve-production")

ON_MAIN: Final = ("package", "publish", "deploy-dev", "integration-test", "deploy-test")
"""Jobs that run on main too; those after them only for a release."""

_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_ASKED = frozenset(
    {"CI_COMMIT_BRANCH", "CI_COMMIT_REF_PROTECTED", "CI_COMMIT_TAG", "CI_DEFAULT_BRANCH", "CI_OPEN_MERGE_REQUESTS"}
    | {"CI_PIPELINE_SOURCE"}
)
"""What the rules of a standard pipeline may ask for: nobody can set it for a pipeline."""


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
        weak = [job for job in compiled(subject, gate) if job.allow_failure or job.allow_failure_exit_codes]
        if value or weak:
            yield Spot(message=f"gate {gate!r} is allowed to fail", location=subject.at(gate, "allow_failure"))


@rule("gate-not-automatic", standard=True, remedy="remove `when`: the gate runs as soon as its turn comes")
def gates_run_by_themselves(subject: Subject) -> Iterator[Spot]:
    """Every gate but the approvals runs by itself, after what it needs has succeeded."""
    for gate in present_gates(subject):
        found = {job.when for job in compiled(subject, gate)} - {When.ON_SUCCESS}
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


@rule(
    "rules-loosened",
    standard=True,
    remedy="let it say `if` and `when` only, about what GitLab sets",
)
def rules_loosen_nothing(subject: Subject) -> Iterator[Spot]:
    """No rule of a job gives it other needs or variables, lets it fail, or asks for what anybody can set."""
    for job, value in subject.jobs.items():
        rules = value.get("rules")
        for index, item in enumerate(rules if isinstance(rules, list) else ()):
            for key, said in _loosened(job, item if isinstance(item, dict) else {}):
                message = f"a rule of job {job!r} {said}"
                yield Spot(message=message, location=subject.at(job, "rules", index, key))
    workflow = subject.merged.get("workflow")
    rules = workflow.get("rules") if isinstance(workflow, dict) else None
    for index, item in enumerate(rules if isinstance(rules, list) else ()):
        asked = _foreign_variables(item.get("if") if isinstance(item, dict) else None)
        if asked:
            message = f"a rule of the workflow asks for {asked}, which anybody can set"
            yield Spot(message=message, location=subject.at("workflow", "rules", index, "if"))


def _loosened(job: str, rule: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What of a job's rule is more than a condition: the key, and what it does."""
    for key in rule:
        if key not in ("if", "when", "allow_failure"):
            yield key, f"has `{key}`, which makes another job of it"
    if rule.get("allow_failure"):
        yield "allow_failure", "lets it fail"
    allowed = ("never", "manual") if job in APPROVALS else ("never", "on_success")
    when = rule.get("when", "on_success")
    if when not in allowed:
        yield "when", f"has `when: {str(when)[:40]}`"
    if asked := _foreign_variables(rule.get("if")):
        yield "if", f"asks for {asked}, which anybody can set"


def _foreign_variables(condition: Any) -> str:
    """The variables of a condition that GitLab does not set by itself."""
    names = dict.fromkeys(_VARIABLE.findall(condition)) if isinstance(condition, str) else {}
    return ", ".join(name for name in names if name not in _ASKED)


def compiled(subject: Subject, job: str) -> Iterator[JobSpec]:
    """The job on each occasion on which it runs."""
    return (graph.jobs[job] for graph in subject.graphs.values() if job in graph.jobs)
