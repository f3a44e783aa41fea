"""What the stacks should be: settings, catalogue, templates and tools as the programs' inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from infra.core.server import Server
from infra.core.settings import Settings
from infra.programs import foundation, platform, service
from infra.programs.lab import RUNNER_DESCRIPTION, lab_servers
from infra.programs.stack import Stack
from infra.toolchain.maven import maven_upstream
from infra.toolchain.toolchain import InstalledTool
from pipelines.catalogue import Catalogue, Service
from pipelines.render import Context, render_release
from pipelines.skeleton import render_skeleton

PLUGIN = "nexus-secrets"
"""The tool that is OpenBao's plug-in for Nexus."""


def servers(settings: Settings, tools: Mapping[str, InstalledTool]) -> tuple[Server, ...]:
    """The servers of the profile."""
    return lab_servers(settings, {name: tool.path for name, tool in tools.items()})


def stacks(
    settings: Settings, catalogue: Catalogue, tools: Mapping[str, InstalledTool], environ: Mapping[str, str]
) -> list[Stack]:
    """Every stack of the profile: the foundation, the platform, one a service.

    Raises BadInputError where the catalogue, a template or this machine's Maven configuration is not as it should be.
    """
    return [
        foundation.stack(
            foundation.Foundation(servers=servers(settings, tools), runner_description=RUNNER_DESCRIPTION)
        ),
        platform.stack(_platform(settings, catalogue, tools[PLUGIN].path, environ)),
        *(service.stack(_service(settings, catalogue, entry)) for entry in catalogue),
    ]


def _platform(settings: Settings, catalogue: Catalogue, plugin: Path, environ: Mapping[str, str]) -> platform.Platform:
    return platform.Platform(
        gitlab_url=settings.gitlab_url,
        openbao_url=settings.openbao_url,
        nexus_url=settings.nexus_url,
        maven_upstream=maven_upstream(environ, settings),
        pipeline_version=catalogue.release,
        pipeline_files=render_release(catalogue, Context.of(catalogue, settings)),
        nexus_plugin=platform.Plugin(command=plugin.name, sha256=hashlib.sha256(plugin.read_bytes()).hexdigest()),
    )


def _service(settings: Settings, catalogue: Catalogue, entry: Service) -> service.Service:
    seed = render_skeleton(entry)
    return service.Service(
        name=entry.name,
        repository=entry.project,
        description=entry.description,
        pipeline_version=catalogue.pipeline_version(entry),
        openbao_url=settings.openbao_url,
        seed=seed,
        executable=tuple(path for path, text in seed.items() if text.startswith("#!")),
        environments=tuple(str(environment) for environment in entry.environments),
        topics=(str(entry.language), f"tier-{entry.tier}"),
    )
