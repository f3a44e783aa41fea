"""One service in depth: its entry, pipelines, deployments, access, drift, and what to do next. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gitlab.v4.objects import Project

from infra.clients.gitlab import GitLab
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.core.error import ServerError
from infra.core.naming import service_stack
from infra.core.settings import Settings
from infra.operations.pipeline_drift import compare, read_server
from infra.operations.pipeline_run import Job, PipelineRun, last_lines, last_runs, with_jobs
from infra.operations.published import GitLabReleases
from infra.operations.service_deployment import Running, last_deployment
from infra.operations.service_probe import ServiceProbe
from infra.operations.status import GLANCE_SECONDS, gitlab_client
from infra.programs.checkpoint import Checkpoints, Recorded
from infra.programs.drift import drift
from infra.programs.plan import Drift
from infra.provider.connection import Connections
from infra.provider.explain import explained
from infra.provider.registry import KINDS
from pipelines.catalogue import Catalogue, Service
from pipelines.drift import ServiceDrift
from pipelines.release import newest
from pipelines.source import Source

RUNS = 5
"""Pipelines that are shown."""

ACCESS = frozenset(
    f"forgeline:{name}"
    for name in (
        *("vault:Policy", "vault:JwtRole", "vault:NexusRole"),
        *("nexus:Role", "nexus:Privilege", "nexus:ContentSelector"),
    )
)
"""The kinds of resource that say what a service's jobs may do."""

SERVERS = {"gitlab": "GitLab", "vault": "OpenBao", "nexus": "Nexus"}
"""What people call the server of a system."""

AS_DECLARED = "as declared"
NOT_KNOWN = "not known"

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A pipeline's failed job, and the last lines of its log where it is the newest failure."""

    pipeline: int
    """GitLab's `iid`."""
    job: Job
    log: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, order=True)
class Access:
    """A role, policy or the like of the service, and whether the server has it as declared."""

    system: str
    kind: str
    name: str
    state: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to type next, and why."""

    command: str
    why: str


@dataclass(frozen=True, kw_only=True)
class ServiceView:
    """What is known of a service. `problems` say what could not be read: the rest is not known, not absent."""

    service: Service
    file: Path
    web_url: str
    newest: str | None
    runs: tuple[PipelineRun, ...]
    failures: tuple[Failed, ...]
    running: tuple[Running, ...]
    access: tuple[Access, ...]
    dependents: tuple[str, ...]
    pipeline_drift: ServiceDrift | None
    resource_drift: tuple[Drift, ...]
    recorded: bool
    """Whether Pulumi's state knows the service."""
    problems: tuple[str, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """What to type next; the most pressing first."""
        name, found = self.service.name, list[Step]()
        if not self.recorded:
            found.append(Step(command=f"forgeline adopt {name}", why="the state knows nothing of it"))
        if self.resource_drift:
            found.append(Step(command="forgeline up --refresh", why="undo what was changed on the servers by hand"))
        if self.pipeline_drift is not None and self.pipeline_drift.drifted:
            state = self.pipeline_drift.state
            found.append(Step(command=state.remedy, why=f"its pipeline is {state}"))
        if self.newest not in {None, self.service.pipeline} and self.service.hold is None:
            command = f"forgeline pipelines rollout {self.newest} --services {name}"
            found.append(Step(command=command, why="a newer pipeline release is out"))
        if self.runs and self.runs[0].status == "failed":
            found.append(Step(command=f"forgeline pipelines run {name} --wait", why="once its failed job is mended"))
        elif any(item.version is None for item in self.running if item.environment in {"dev", "test"}):
            found.append(Step(command=f"forgeline pipelines run {name} --wait", why="brings it to dev and test"))
        distinct = {step.command: step for step in reversed(found)}
        return tuple(reversed(distinct.values())) or (
            Step(command=f"forgeline pipelines explain {name}", why="which jobs run when, and why"),
        )

    def as_json(self) -> dict[str, Any]:
        """A JSON object with all parts."""
        return {
            "service": self.service.model_dump(mode="json"),
            "file": str(self.file),
            "project": self.service.project,
            "web_url": self.web_url,
            "pipeline": self.service.pipeline,
            "newest": self.newest,
            "pipelines": [run.as_json() for run in self.runs],
            "failures": [{**vars(one), "job": vars(one.job), "log": list(one.log)} for one in self.failures],
            "environments": [vars(one) for one in self.running],
            "access": [vars(one) for one in self.access],
            "dependencies": list(self.service.dependencies),
            "dependents": list(self.dependents),
            "pipeline_drift": self.pipeline_drift.as_json() if self.pipeline_drift else None,
            "resource_drift": [vars(one) for one in self.resource_drift],
            "in_state": self.recorded,
            "problems": list(self.problems),
            "next": [vars(step) for step in self.steps],
        }


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """Reads part by part: a server that fails is noted, and not asked again."""

    problems: dict[str, str] = field(default_factory=dict)

    def of(self, server: str, read: Callable[[], Value], otherwise: Value) -> Value:
        """What is read, or `otherwise` where the server refuses, does not answer, or did not before."""
        if server in self.problems:
            return otherwise
        try:
            return read()
        except Exception as error:
            known = explained(error)
            if not isinstance(known, ServerError):
                raise
            self.problems[server] = f"{server}: {known.what}"
            return otherwise


def service_view(settings: Settings, catalogue: Catalogue, name: str) -> ServiceView:
    """The service in depth. Changes nothing; a server that does not answer is told, not raised.

    Raises BadInputError, with the nearest name, for a service that isn't there.
    """
    service = catalogue.service(name)
    reading = _Reading()
    openbao = OpenBao.of(settings)

    def connect() -> GitLab:
        return gitlab_client(settings, openbao, timeout=GLANCE_SECONDS)

    gitlab = reading.of("GitLab", connect, None)
    runs: list[PipelineRun] = []
    failures: tuple[Failed, ...] = ()
    project, newest_release, pipeline_drift = None, None, None
    if gitlab is not None:
        project = reading.of("GitLab", lambda: gitlab.find_project(service.project), None)
        runs = reading.of("GitLab", lambda: last_runs(gitlab, service, RUNS), runs)
        failures = reading.of("GitLab", lambda: _failures(gitlab, service, runs), failures)
        pipeline_drift = reading.of("GitLab", lambda: _drift(settings, catalogue, service, gitlab, project), None)
        newest_release = reading.of("GitLab", lambda: newest(GitLabReleases(gitlab).versions()), None)
    with ServiceProbe(settings) as probe:
        running = tuple(
            _running(probe, service, environment, reading, project) for environment in probe.environments(service)
        )
    connections = Connections(gitlab=connect, openbao=lambda: openbao, nexus=lambda: NexusClient.of(settings, openbao))
    checkpoints = Checkpoints(settings.data("pulumi"))
    recorded = checkpoints.resources(service_stack(name))
    resource_drift = _resource_drift(checkpoints, connections, name, reading)
    connections.close()
    return ServiceView(
        service=service,
        file=catalogue.sources[name],
        web_url=project.web_url if project else "",
        newest=newest_release,
        runs=tuple(runs),
        failures=failures,
        running=running,
        access=tuple(sorted(_access(one, resource_drift, reading.problems) for one in recorded if one.type in ACCESS)),
        dependents=tuple(other.name for other in catalogue if name in other.dependencies),
        pipeline_drift=pipeline_drift,
        resource_drift=resource_drift,
        recorded=bool(recorded),
        problems=tuple(reading.problems.values()),
    )


def _failures(gitlab: GitLab, service: Service, runs: list[PipelineRun]) -> tuple[Failed, ...]:
    """The failed job of each failed run; of the newest of them with the end of its log."""
    found: list[Failed] = []
    for run in runs:
        job = with_jobs(gitlab, service, run).failed_job if run.status == "failed" else None
        if job is not None:
            log = () if found else tuple(last_lines(gitlab, service, job))
            found.append(Failed(pipeline=run.number, job=job, log=log))
    return tuple(found)


def _drift(
    settings: Settings, catalogue: Catalogue, service: Service, gitlab: GitLab, project: Project | None
) -> ServiceDrift:
    projects = {service.project: project} if project else {}
    server = read_server(settings, catalogue, GitLabReleases(gitlab), projects)
    return next(item for item in compare(Source.of(settings, catalogue), server) if item.service == service.name)


def _running(
    probe: ServiceProbe, service: Service, environment: str, reading: _Reading, project: Project | None
) -> Running:
    found: dict[str, str] = {}
    if project is not None:
        found = reading.of("GitLab", lambda: last_deployment(project, environment), found)
    version = probe.version(service, environment)
    return Running(
        environment=environment,
        url=probe.url(service, environment),
        version=version,
        healthy=version is not None and probe.healthy(service, environment),
        **found,
    )


def _resource_drift(
    checkpoints: Checkpoints, connections: Connections, name: str, reading: _Reading
) -> tuple[Drift, ...]:
    """What differs of the service's own resources, server by server: one that is away leaves the others."""
    found: list[Drift] = []
    for system, server in SERVERS.items():
        types = {kind for kind in KINDS if KINDS[kind].system == system}

        def read(types: set[str] = types) -> list[Drift]:
            return drift(checkpoints, connections, [service_stack(name)], types=types)

        found += reading.of(server, read, [])
    return tuple(found)


def _access(recorded: Recorded, drifts: tuple[Drift, ...], unread: Collection[str]) -> Access:
    kind = KINDS[recorded.type]
    differing = [one.field for one in drifts if one.urn == recorded.urn]
    if SERVERS[kind.system] in unread:
        state = NOT_KNOWN
    elif "" in differing:
        state = "is gone"
    else:
        state = f"changed: {', '.join(differing)}" if differing else AS_DECLARED
    return Access(system=kind.system, kind=kind.noun, name=recorded.id.rpartition(":")[2], state=state)
