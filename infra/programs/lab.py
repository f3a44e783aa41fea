"""The lab's servers, described for this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from infra.core.server import Server
from infra.core.settings import Settings
from infra.servers import gitlab, nexus, openbao, runner
from infra.servers.machine import this_machine


def lab_servers(settings: Settings, tools: Mapping[str, Path]) -> tuple[Server, ...]:
    """All servers of the lab. `tools` maps a tool's name to its program."""
    place = this_machine(settings, tools)
    return tuple(server.describe(settings, place) for server in (openbao, nexus, gitlab, runner))
