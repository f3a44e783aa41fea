"""The fleet at a glance: each service with its last pipeline, what runs where, and its drift.

Projects and releases are read by listings, so a service costs GitLab one request (its last pipeline), and each of its
environments one question to the service itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any

from gitlab.v4.objects import Project

from infra.clients.gitlab import GitLab, NoAnswerError
from infra.core.document import nearest
from infra.core.error import BadInputError, ForgelineError, ServerError
from infra.core.settings import Settings
from infra.operations.pipeline_drift import compare, read_server, service_projects
from infra.operations.pipeline_run import PipelineRun, latest
from infra.operations.published import GitLabReleases
from infra.operations.service_probe import ServiceProbe
from pipelines.catalogue import Catalogue, Service
from pipelines.drift import ServiceDrift
from pipelines.release import newest
from pipelines.source import Source

READERS = 16
"""Services, and as many environments, asked side by side."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which services are shown. None and nothing mean all of them."""

    tier: str | None = None
    language: str | None = None
    owner: str | None = None
    red: bool = False
    """Only those whose last pipeline failed."""
    drifted: bool = False

    def of(self, catalogue: Catalogue) -> list[Service]:
        """The services that may be shown. Raises BadInputError, with the nearest name, for an unknown owner."""
        owners = {owner for service in catalogue for owner in service.owners}
        if self.owner is not None and self.owner not in owners:
            raise BadInputError(f"no service has the owner {self.owner!r}", fix=nearest(self.owner, owners))
        return [
            service
            for service in catalogue
            if self.tier in {None, str(service.tier)}
            and self.language in {None, str(service.language)}
            and (self.owner is None or self.owner in service.owners)
        ]

    def shows(self, row: FleetRow) -> bool:
        """Whether what was read of the service is asked for."""
        red = row.run is not None and row.run.status == "failed"
        drifted = row.drift is not None and row.drift.drifted
        return (red or not self.red) and (drifted or not self.drifted)


@dataclass(frozen=True, kw_only=True)
class FleetRow:
    """A service. `problems` say what could not be read: then what is missing is not known, rather than not there."""

    service: Service
    web_url: str = ""
    newest: str | None = None
    """The newest pipeline release."""
    run: PipelineRun | None = None
    versions: Mapping[str, str | None]
    """What answers in each environment, None where nothing does."""
    drift: ServiceDrift | None = None
    problems: tuple[str, ...] = ()

    def age(self, now: datetime) -> float | None:
        """Seconds since the last pipeline was made, or None where there is none."""
        if self.run is None or not self.run.created_at:
            return None
        return (now - datetime.fromisoformat(self.run.created_at)).total_seconds()

    def as_json(self, now: datetime) -> dict[str, Any]:
        """A JSON object with all that the table shows, and the links."""
        service, age = self.service, self.age(now)
        return {
            "name": service.name,
            "tier": str(service.tier),
            "owners": list(service.owners),
            "language": str(service.language),
            "web_url": self.web_url,
            "pipeline": service.pipeline,
            "newest": self.newest,
            "hold": service.hold.reason if service.hold else None,
            "last_pipeline": self.run.as_json() if self.run else None,
            "last_pipeline_age_seconds": None if age is None else round(age),
            "versions": dict(self.versions),
            "drift": self.drift.as_json() if self.drift else None,
            "problems": list(self.problems),
        }


@dataclass(frozen=True, kw_only=True)
class FleetView:
    """The services that were asked for, in the order of their names, and the moment of which it is all true."""

    rows: tuple[FleetRow, ...]
    moment: datetime

    @property
    def complete(self) -> bool:
        """Whether everything could be read."""
        return not any(row.problems for row in self.rows)

    def as_json(self) -> list[dict[str, Any]]:
        """A list of JSON objects, one a service."""
        return [row.as_json(self.moment) for row in self.rows]


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """What is read once for all services. Without `gitlab`, `problem` says why nothing could be."""

    gitlab: GitLab | None = None
    projects: Mapping[str, Project] = field(default_factory=dict)
    problem: str = ""


def fleet_view(
    settings: Settings, catalogue: Catalogue, selection: Selection, *, connect: Callable[[], GitLab]
) -> FleetView:
    """The fleet now. Changes nothing; a server that does not answer is told in the rows, not raised.

    `connect` gives GitLab, and may raise ForgelineError. Raises what `Selection.of` raises, before anybody is asked.
    """
    chosen = selection.of(catalogue)
    shared = _shared(connect)
    silent = Event()
    with ServiceProbe(settings) as probe, ThreadPoolExecutor(READERS, thread_name_prefix="fleet") as pool:
        runs = {one.name: pool.submit(_last_run, shared.gitlab, one, silent) for one in chosen}
        answers = {
            one.name: {name: pool.submit(probe.version, one, name) for name in probe.environments(one)}
            for one in chosen
        }
        # Rendering what the pipelines should be takes this processor while the servers are waited for.
        drifts, newest_release, problem = _drifts(settings, catalogue, shared)
        rows = []
        for service in chosen:
            run, silence = runs[service.name].result()
            project = shared.projects.get(service.project)
            rows.append(
                FleetRow(
                    service=service,
                    web_url=project.web_url if project else "",
                    newest=newest_release,
                    run=run,
                    versions={name: answer.result() for name, answer in answers[service.name].items()},
                    drift=drifts.get(service.name),
                    problems=tuple(dict.fromkeys(filter(None, (shared.problem, silence, problem)))),
                )
            )
    return FleetView(rows=tuple(row for row in rows if selection.shows(row)), moment=datetime.now(UTC))


def _shared(connect: Callable[[], GitLab]) -> _Shared:
    try:
        gitlab = connect()
        return _Shared(gitlab=gitlab, projects=service_projects(gitlab))
    except ForgelineError as error:
        return _Shared(problem=error.what)


def _last_run(gitlab: GitLab | None, service: Service, silent: Event) -> tuple[PipelineRun | None, str]:
    """The last pipeline, and why it is not known. Once GitLab is silent, nobody else waits for it."""
    if gitlab is None:
        return None, ""
    if silent.is_set():
        return None, "GitLab did not answer"
    try:
        return latest(gitlab, service), ""
    except NoAnswerError as error:
        silent.set()
        return None, error.what
    except ServerError as error:
        return None, error.what


def _drifts(
    settings: Settings, catalogue: Catalogue, shared: _Shared
) -> tuple[dict[str, ServiceDrift], str | None, str]:
    """Each service's drift, the newest release, and why they are not known.

    All services are compared, also those that are not shown: a release is proven as a whole.
    """
    if shared.gitlab is None:
        return {}, None, ""
    try:
        releases = GitLabReleases(shared.gitlab)
        server = read_server(settings, catalogue, releases, shared.projects)
        found = {item.service: item for item in compare(Source.of(settings, catalogue), server)}
        return found, newest(releases.versions()), ""
    except ServerError as error:
        return {}, None, error.what
