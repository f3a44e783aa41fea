"""Every way to production, on the job graph of every occasion."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

from pipelines.context import PROTECTED, Occasion
from pipelines.graph import Graph, is_approval
from pipelines.language.model import JobSpec
from pipelines.rules.rule import Spot, rule
from pipelines.shell.command import Script
from pipelines.standard import GATES, GATES_BEFORE_PUBLISH
from pipelines.subject import Subject

ENVIRONMENTS: Final = ("dev", "test", "staging", "production")
"""In the order in which a version travels."""

_PRODUCTION = re.compile(r"(?i)(?:production|prod|live)(?:$|[^a-z].*)")
_ROLE = re.compile(r"\brole=(?:publish|deploy)-|/creds/(?:publish-|deployer\b)")
_VERSION_SET = re.compile(r"^\s*(?:export\s+|local\s+|readonly\s+)?VERSION=(?!\"\$\{VERSION#v\}\"\s*$)")


def deployed(subject: Subject, job: JobSpec) -> str | None:
    """The environment that a job deploys to: by its `environment`, or by what its script says. None for none."""
    environment = job.environment
    if environment is not None and environment.action == "start":
        return environment.name
    return _effects(subject.script(job.group).does)[0]


@lru_cache(maxsize=256)
def _effects(script: Script) -> tuple[str | None, bool]:
    """Where a script deploys to, and whether it publishes anything."""
    target = None
    for command in script.commands:
        if command.calls("forgeline", "deploy", "--environment") and "--back-from" not in command.words:
            at = command.words.index("--environment") + 1
            target = command.words[at] if at < len(command.words) else ""
            break
    return target, any(one.calls("curl", "--upload-file") for one in script.commands)


def is_production(subject: Subject, job: JobSpec) -> bool:
    """Whether a job deploys to production."""
    tier = job.environment.deployment_tier if job.environment else None
    name = deployed(subject, job)
    return name is not None and (tier == "production" if tier else _PRODUCTION.fullmatch(name) is not None)


def publishes(subject: Subject, job: JobSpec) -> bool:
    """Whether a job gives an artifact to everybody."""
    return job.group == "publish" or _effects(subject.script(job.group).does)[1]


@rule(
    "production-unapproved",
    remedy="let the job, or one that it needs, be `when: manual` with `allow_failure: false`",
)
def production_waits_for_a_person(subject: Subject) -> Iterator[Spot]:
    """Nothing is deployed to production before a person has started it or something that it needs."""
    for job, graph, occasion in _once(subject, lambda one: is_production(subject, one)):
        approved = is_approval(job) or any(is_approval(graph.jobs[name]) for name in graph.before(job.name))
        if not approved:
            message = f"{job.name!r} deploys to production on {occasion} although nobody starts it"
            yield Spot(message=message, location=subject.at(job.group))


@rule("production-gates", standard=True, remedy="let the job, or one that it needs, need the gate")
def production_passes_every_gate(subject: Subject) -> Iterator[Spot]:
    """On every occasion, every way to production passes through every gate, from validate to the last approval."""
    for job, graph, occasion in _once(subject, lambda one: is_production(subject, one)):
        for gate in GATES:
            if not graph.passes(job.name, gate):
                yield _way_around(subject, graph, job, gate, occasion)


@rule("publish-gates", standard=True, remedy="let the job, or one that it needs, need the gate")
def artifacts_pass_every_gate(subject: Subject) -> Iterator[Spot]:
    """On every occasion, nothing is published or deployed before it has passed every gate before publish."""
    for job, graph, occasion in _once(
        subject, lambda one: publishes(subject, one) or deployed(subject, one) is not None
    ):
        for gate in GATES_BEFORE_PUBLISH:
            if not graph.passes(job.name, gate):
                yield _way_around(subject, graph, job, gate, occasion)


@rule("environment-order", standard=True, remedy="let the job need the deployment to the environment before")
def environments_come_in_order(subject: Subject) -> Iterator[Spot]:
    """A version reaches an environment only through those before it: dev, test, staging, production."""
    for job, graph, occasion in _once(subject, lambda one: deployed(subject, one) in ENVIRONMENTS):
        for earlier in ENVIRONMENTS[: ENVIRONMENTS.index(str(deployed(subject, job)))]:
            if not graph.passes(job.name, f"deploy-{earlier}"):
                yield _way_around(subject, graph, job, f"deploy-{earlier}", occasion)
        if deployed(subject, job) == "test" and not graph.passes(job.name, "integration-test"):
            yield _way_around(subject, graph, job, "integration-test", occasion)


@rule(
    "same-artifact",
    standard=True,
    remedy='publish what `package` made of what `build` made, and deploy that with `--version "$VERSION"`',
)
def what_is_deployed_was_published(subject: Subject) -> Iterator[Spot]:
    """Every deployment is of the artifact that this pipeline built, tested and published, in the same version."""
    for job, graph, occasion in _once(
        subject, lambda one: publishes(subject, one) or deployed(subject, one) is not None
    ):
        wanted = ("build", "package") if publishes(subject, job) else ("build", "package", "publish")
        for name in wanted:
            if not graph.passes(job.name, name):
                yield _way_around(subject, graph, job, name, occasion)
        if publishes(subject, job) and "package" not in {need.name for need in job.needs or () if need.artifacts}:
            message = f"{job.name!r} does not take the artifact of 'package'"
            yield Spot(message=message, location=subject.at(job.group, "needs"))
        if deployed(subject, job) is not None and not _deploys_version(subject, job):
            message = f"{job.name!r} does not deploy the version of this pipeline"
            yield Spot(message=message, location=subject.at(job.group, "script"))
    yield from _other_versions(subject)
    yield from _other_package(subject)


def _other_versions(subject: Subject) -> Iterator[Spot]:
    for job, value in subject.jobs.items():
        variables = value.get("variables")
        if isinstance(variables, dict) and "VERSION" in variables:
            message = f"job {job!r} has a VERSION of its own"
            yield Spot(message=message, location=subject.at(job, "variables", "VERSION"))
        script = subject.script(job)
        for number, line in enumerate(script.lines, 1):
            if _VERSION_SET.match(line.text):
                yield Spot(message=f"job {job!r} changes VERSION", location=script.at(number))


def _other_package(subject: Subject) -> Iterator[Spot]:
    for graph in subject.graphs.values():
        package = graph.jobs.get("package")
        if package is not None and "build" not in {need.name for need in package.needs or () if need.artifacts}:
            message = "'package' does not take what 'build' made"
            yield Spot(message=message, location=subject.at("package", "needs"))
            return


@rule("unprotected-release", standard=True, remedy="give the job a rule that asks for $CI_COMMIT_REF_PROTECTED")
def unprotected_refs_release_nothing(subject: Subject) -> Iterator[Spot]:
    """A merge request, a branch, a tag that anybody may set and the nightly audit publish and deploy nothing."""
    seen = set()
    for occasion, graph in subject.graphs.items():
        if occasion in PROTECTED - {Occasion.SCHEDULE}:
            continue
        for job in graph.jobs.values():
            does = _releases(subject, job) or _has_role(job)
            if does and job.group not in seen:
                seen.add(job.group)
                message = f"{job.name!r} can publish or deploy on: {occasion}"
                yield Spot(message=message, location=subject.at(job.group, "rules"))


@rule("unreleased-production", standard=True, remedy="let only a protected tag that begins with v reach it")
def only_releases_reach_production(subject: Subject) -> Iterator[Spot]:
    """Only a release tag reaches staging and production."""
    for occasion, graph in subject.graphs.items():
        for job in graph.jobs.values() if occasion is not Occasion.RELEASE_TAG else ():
            if is_production(subject, job) or deployed(subject, job) == "staging":
                message = f"{job.name!r} runs on {occasion}, which is no release"
                yield Spot(message=message, location=subject.at(job.group, "rules"))


@rule("deployment-unsafe", standard=True, remedy="set `interruptible: false` and a `resource_group` of the environment")
def deployments_are_not_disturbed(subject: Subject) -> Iterator[Spot]:
    """No deployment is broken off half-way by a newer pipeline, or runs beside another one of the same environment."""
    for job, _, _ in _once(subject, lambda one: deployed(subject, one) is not None):
        if job.interruptible:
            message = f"{job.name!r} can be broken off half-way"
            yield Spot(message=message, location=subject.at(job.group, "interruptible"))
        if job.resource_group != deployed(subject, job):
            message = f"{job.name!r} may run beside another deployment to {deployed(subject, job)}"
            yield Spot(message=message, location=subject.at(job.group, "resource_group"))


@rule("production-unverified", standard=True, remedy="put verify-production and its way back there again")
def production_is_verified(subject: Subject) -> Iterator[Spot]:
    """Whatever was deployed to production is asked for its health, and the version before comes back if it has none."""
    for job, graph, _ in _once(subject, lambda one: is_production(subject, one)):
        verify = graph.jobs.get("verify-production")
        if verify is None or not graph.passes("verify-production", job.name):
            message = f"nothing verifies what {job.name!r} deployed"
            yield Spot(message=message, location=subject.at(job.group))
            continue
        commands = subject.script(verify.group).does.commands
        asks = any(one.counts and one.calls("forgeline", "gate", "health") for one in commands)
        back = any(one.calls("forgeline", "deploy", "production", "--back-from") for one in commands)
        if not asks or not back:
            what = "ask for the health" if not asks else "bring the version before back"
            message = f"'verify-production' does not {what}"
            yield Spot(message=message, location=subject.at("verify-production", "script"))


def _once(subject: Subject, wanted: Callable[[JobSpec], bool]) -> Iterator[tuple[JobSpec, Graph, Occasion]]:
    """Each job that is `wanted`, on the first of the occasions on which the same is surely before it."""
    seen = set()
    for occasion, graph in subject.graphs.items():
        for job in graph.jobs.values():
            key = (job.name, graph.before(job.name)) if wanted(job) else None
            if key is not None and key not in seen:
                seen.add(key)
                yield job, graph, occasion


def _way_around(subject: Subject, graph: Graph, job: JobSpec, gate: str, occasion: Occasion) -> Spot:
    way = " -> ".join(graph.way_around(job.name, gate))
    message = f"{job.name!r} can be reached on {occasion} without passing {gate!r}: {way}"
    return Spot(message=message, location=subject.at(job.group, "needs"))


def _releases(subject: Subject, job: JobSpec) -> bool:
    return publishes(subject, job) or deployed(subject, job) is not None


def _deploys_version(subject: Subject, job: JobSpec) -> bool:
    call = ("forgeline", "deploy", "--version", "$VERSION")
    return any(one.counts and one.calls(*call) for one in subject.script(job.group).does.commands)


def _has_role(job: JobSpec) -> bool:
    return any(_ROLE.search(line) for line in (*job.before_script, *job.script))
