"""What the stacks should be: settings, catalogue, templates and tools as the programs' inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.clients.nexus import configurer
from infra.core.document import read_text
from infra.core.server import Server
from infra.core.settings import Placement, Settings
from infra.programs import foundation, platform, service
from infra.programs.checkpoint import Checkpoints
from infra.programs.lab import lab_servers
from infra.programs.released import last_files, released
from infra.programs.stack import Stack
from infra.servers.container import PROGRAMS
from infra.servers.machine import RUNNER
from infra.toolchain.maven import maven_upstream
from infra.toolchain.toolchain import InstalledTool
from pipelines.boilerplate import with_lock
from pipelines.catalogue import Catalogue, Service
from pipelines.release import same_or_new
from pipelines.service_page import PAGE, service_page
from pipelines.skeleton import render_skeleton
from pipelines.source import Source
from pipelines.team import membership

PLUGIN = "nexus-secrets"
"""The tool that is OpenBao's plug-in for Nexus."""


def servers(settings: Settings, tools: Mapping[str, InstalledTool]) -> tuple[Server, ...]:
    """The servers of the profile; none where others run them."""
    if settings.existing:
        return ()
    if settings.profile.placement is Placement.DOCKER:
        # The lab's commands need none of it, and loading it takes a while.
        from infra.operations import docker_profile

        return docker_profile.servers(settings)
    return lab_servers(settings, {name: tool.path for name, tool in tools.items()})


def _foundation(
    settings: Settings,
    tools: Mapping[str, InstalledTool],
    environ: Mapping[str, str],
    images: Mapping[str, str] | None,
) -> foundation.Foundation:
    if settings.profile.placement is Placement.DOCKER:
        from infra.operations import docker_profile

        return docker_profile.foundation(settings, images or docker_profile.present(settings, environ))
    return foundation.Foundation(servers=servers(settings, tools), runner_description=RUNNER)


@dataclass(frozen=True, kw_only=True)
class PastReleases:
    """What was published before: the last release's files as they were made, and the blobs of each by version."""

    last_files: Mapping[str, str]
    blobs: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, checkpoints: Checkpoints) -> Self:
        """What the state knows."""
        return cls(last_files=last_files(checkpoints), blobs=released(checkpoints))


def stacks(
    settings: Settings,
    catalogue: Catalogue,
    tools: Mapping[str, InstalledTool],
    environ: Mapping[str, str],
    *,
    releases: PastReleases | None = None,
    images: Mapping[str, str] | None = None,
) -> list[Stack]:
    """Every stack of the profile: the foundation, the platform, one a service.

    `releases` are those that the state knows, unless somebody knows better; `images` as `foundation_stack` has them.
    Raises BadInputError where the catalogue, a template or this machine's Maven configuration is not as it should be.
    """
    return [
        *foundation_stack(settings, tools, environ, images=images),
        platform_stack(settings, catalogue, tools, environ, releases=releases),
        *service_stacks(settings, catalogue),
    ]


def foundation_stack(
    settings: Settings,
    tools: Mapping[str, InstalledTool],
    environ: Mapping[str, str],
    *,
    images: Mapping[str, str] | None = None,
) -> list[Stack]:
    """The foundation's stack; none where others run the servers.

    `images` are the ids of containers' images by their names; those that the engine has, unless somebody knows better.
    """
    if settings.existing:
        return []
    return [foundation.stack(_foundation(settings, tools, environ, images))]


def platform_stack(
    settings: Settings,
    catalogue: Catalogue,
    tools: Mapping[str, InstalledTool],
    environ: Mapping[str, str],
    *,
    releases: PastReleases | None = None,
) -> Stack:
    """The platform's stack, which publishes the pipeline release of this checkout and keeps the earlier ones."""
    username, password = configurer(settings)
    address = settings.profile.servers
    known = releases or PastReleases.of(Checkpoints(settings.data("pulumi")))
    return platform.stack(
        platform.Platform(
            gitlab_url=settings.gitlab_url,
            openbao_url=settings.openbao_url,
            nexus_url=settings.nexus_url,
            maven_upstream=maven_upstream(environ, settings),
            accept_nexus_agreement=settings.profile.accept_nexus_eula,
            pipeline_version=catalogue.release,
            pipeline_files=same_or_new(known.last_files, Source.of(settings, catalogue).files()),
            nexus_username=username,
            nexus_password=str(password),
            nexus_plugin=None if settings.existing else _plugin(settings, tools[PLUGIN].path),
            instance=not settings.existing,
            base_group=settings.base_group,
            shared_visibility=address.gitlab.visibility if address else "internal",
            other_releases={version: blobs for version, blobs in known.blobs.items() if version != catalogue.release},
            ca_pem=read_text(settings.ca) if settings.ca is not None and settings.ca.is_file() else None,
            teams=membership(catalogue.teams),
        )
    )


def _plugin(settings: Settings, program: Path) -> platform.Plugin:
    # An image has the same program, by a name of its own.
    command = PROGRAMS[PLUGIN].name if settings.profile.placement is Placement.DOCKER else program.name
    return platform.Plugin(command=command, sha256=hashlib.sha256(program.read_bytes()).hexdigest())


def service_stacks(settings: Settings, catalogue: Catalogue, names: Collection[str] | None = None) -> list[Stack]:
    """The stacks of the services, all or those named."""
    return [service.stack(_service(settings, entry)) for entry in catalogue if names is None or entry.name in names]


def first_files(settings: Settings, entry: Service) -> dict[str, str]:
    """What a service's repository begins with: its skeleton, the page about its delivery, and the lock of both."""
    return with_lock({**render_skeleton(entry), PAGE: service_page(entry, settings)})


def _service(settings: Settings, entry: Service) -> service.Service:
    seed = first_files(settings, entry) if entry.seeded else {}
    return service.Service(
        name=entry.name,
        repository=entry.project,
        description=entry.description,
        pipeline_place=entry.pipeline_place(entry.pipeline),
        nightly=settings.profile.night.cron(entry.name),
        openbao_url=settings.openbao_url,
        seed=seed,
        executable=tuple(path for path, text in seed.items() if text.startswith("#!")),
        environments=tuple(str(environment) for environment in entry.environments),
        topics=(str(entry.language), f"tier-{entry.tier}"),
        owners=dict(zip(entry.owners, entry.owner_groups, strict=True)),
    )
