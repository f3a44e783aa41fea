"""Compares every service's pipeline with the catalogue, the templates, the release and the server. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from gitlab.exceptions import GitlabError
from gitlab.v4.objects import Project

from infra.clients.gitlab import GitLab, explain
from infra.core.naming import SERVICES_GROUP, service_stack
from infra.core.progress import Progress
from infra.core.settings import Settings
from infra.operations.published import GitLabReleases, Releases
from infra.operations.release import Held, wrong_with
from infra.operations.status import gitlab_client
from infra.programs.checkpoint import Checkpoints
from infra.programs.released import released
from infra.provider.gitlab.project import PROJECT
from pipelines.catalogue import Catalogue, Service
from pipelines.drift import Observed, ServiceDrift, judge
from pipelines.source import Source


@dataclass(frozen=True, kw_only=True)
class Server:
    """What the servers and the state say: `applied` and `actual` are each project's `ci_config_path`, by service."""

    releases: Releases
    recorded: Mapping[str, Mapping[str, str]]
    applied: Mapping[str, str]
    actual: Mapping[str, str]


def pipeline_drift(settings: Settings, catalogue: Catalogue, progress: Progress) -> list[ServiceDrift]:
    """The state of every service's pipeline, in the order of the catalogue.

    Raises ServerError where a server can't be asked: no answer is no proof.
    """
    progress.start("pipelines", "reading projects and releases")
    gitlab = gitlab_client(settings)
    server = read_server(settings, catalogue, GitLabReleases(gitlab), service_projects(gitlab))
    found = compare(Source.of(settings, catalogue), server)
    drifted = sum(item.drifted for item in found)
    progress.done("pipelines", f"{drifted} of {len(found)} drifted" if drifted else "as declared")
    return found


def service_projects(gitlab: GitLab) -> dict[str, Project]:
    """The services' projects by full path: one listing, however many there are. Raises ServerError."""
    try:
        return gitlab.projects_in(gitlab.under(SERVICES_GROUP))
    except GitlabError as error:
        raise explain(error, SERVICES_GROUP) from error


def read_server(
    settings: Settings, catalogue: Catalogue, releases: Releases, projects: Mapping[str, Project]
) -> Server:
    """What the state says, beside what was read of the servers: `projects` by full path."""
    checkpoints = Checkpoints(settings.data("pulumi"))
    return Server(
        releases=releases,
        recorded=released(checkpoints),
        applied=_applied(checkpoints, catalogue),
        actual={
            service.name: str(projects[service.project].ci_config_path or "")
            for service in catalogue
            if service.project in projects
        },
    )


def compare(source: Source, server: Server) -> list[ServiceDrift]:
    """The state of every service's pipeline out of what the server says."""

    expected = cache(source.files)

    @cache
    def held(version: str) -> Held:
        return wrong_with(server.releases, version, server.recorded.get(version), expected(version))

    return [
        judge(_observed(server, service, held(service.pipeline), expected(service.pipeline)))
        for service in source.catalogue
    ]


def _observed(server: Server, service: Service, held: Held, expected: Mapping[str, str]) -> Observed:
    name = f"{service.name}.yml"
    # What is wrong with another service's file in the same release is told there.
    altered = [f"{path} {reason}" for path, reason in held.wrong.items() if path == name or not path.endswith(".yml")]
    if not altered and name not in held.files:
        altered = [f"{service.pipeline} has no {name}"]
    return Observed(
        service=service.name,
        pipeline=service.pipeline,
        released=held.files.get(name),
        expected=expected[name],
        altered=altered,
        pinned=service.pipeline_place(service.pipeline),
        applied=server.applied.get(service.name),
        actual=server.actual.get(service.name),
        hold=service.hold.reason if service.hold else None,
    )


def _applied(checkpoints: Checkpoints, catalogue: Catalogue) -> dict[str, str]:
    return {
        service.name: str(recorded.inputs["ci_config_path"])
        for service in catalogue
        for recorded in checkpoints.resources(service_stack(service.name))
        if recorded.type == PROJECT.type_name and recorded.inputs.get("ci_config_path")
    }
