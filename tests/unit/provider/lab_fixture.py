"""Real servers for tests: the lab's own descriptions, on free ports, in a temporary folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.clients.bootstrap import ensure_key
from infra.clients.process import Processes
from infra.clients.request import writes
from infra.core.settings import Profile, Settings, load_settings
from infra.programs.lab import lab_servers
from infra.provider.connection import Connections
from infra.toolchain.toolchain import Toolchain
from tests.trial import free_ports

TOOLS = ("openbao", "nexus", "java", "gitlab-runner", "nexus-secrets", "pulumi")


@dataclass
class Lab:
    """A running lab, and the writing requests that went to it."""

    settings: Settings
    connections: Connections
    tools: dict[str, Path]
    written: list[str]


@contextmanager
def running_lab(state: Path, *, nexus_too: bool) -> Iterator[Lab]:
    """OpenBao and GitLab are ready; Nexus, if wanted, is started, and whoever asks for it waits."""
    gitlab, openbao, cluster, nexus = free_ports(4)
    base = load_settings(os.environ)
    ports = {"gitlab": gitlab, "openbao": openbao, "openbao_cluster": cluster, "nexus": nexus}
    profile = Profile(name="contract", ports=ports, environment_port_offsets={"dev": 20000})
    settings = Settings(profile=profile, profile_file=base.profile_file, state=state, cache=base.cache)
    chain = Toolchain.of(settings, os.environ)
    found = {name: chain.find(name) for name in TOOLS}
    missing = [name for name, tool in found.items() if tool is None]
    if missing:
        pytest.skip(f"these tools are not in the cache yet: {', '.join(missing)}; `make up` gets them")
    tools = {name: tool.path for name, tool in found.items() if tool is not None}
    servers = {server.name: server for server in lab_servers(settings, tools)}
    written: list[str] = []

    def observe(verb: str, path: str, _status: int) -> None:
        # Asking whether a runner's token is known is a POST too.
        if writes(verb, path) and not path.endswith("/runners/verify"):
            written.append(f"{verb} {path}")

    connections = Connections.of(settings, servers=servers.values(), observe=observe)
    ensure_key(settings.bootstrap_key)
    processes = Processes.of(settings)
    try:
        connections.start(servers["openbao"], wait=True)
        if nexus_too:
            connections.start(servers["nexus"], wait=False)
        connections.start(servers["gitlab"], wait=True)
        yield Lab(settings=settings, connections=connections, tools=tools, written=written)
    finally:
        connections.close()
        processes.supervisor.shutdown()
