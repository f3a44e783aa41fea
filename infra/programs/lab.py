"""The lab's servers, described for this machine: the only place from which `infra.lab` is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infra.core.server import Server
from infra.core.settings import Settings
from infra.lab.servers import gitlab, nexus, openbao, runner

RUNNER_DESCRIPTION = runner.DESCRIPTION


def lab_servers(settings: Settings, tools: Mapping[str, Path]) -> tuple[Server, ...]:
    """All servers of the lab. `tools` maps a tool's name to its program."""
    return tuple(server.describe(settings, tools) for server in (openbao, nexus, gitlab, runner))
