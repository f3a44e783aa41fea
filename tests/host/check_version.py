"""What runs is what is pinned."""

from __future__ import annotations

from typing import Any

from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.clients.supervisor import Supervisor
from infra.toolchain.pin import Pins


def check_openbao_is_the_pinned_version(openbao: OpenBao, pins: Pins) -> None:
    health = openbao.health()
    assert health is not None, "OpenBao does not answer"
    assert health["version"] == pins.tools["openbao"].version, f"OpenBao is {health['version']}"


def check_nexus_is_the_pinned_version(nexus: NexusClient, pins: Pins) -> None:
    version = nexus.version()
    assert version == pins.tools["nexus"].version, f"Nexus is {version}"


def check_runner_is_the_pinned_version(supervisor: Supervisor, pins: Pins, host: Any) -> None:
    program = supervisor.program("runner")
    assert program is not None, "the supervisor knows no program runner"
    assert program.running, f"the runner is {program.state}"
    said = host.run("%s --version", host.file(f"/proc/{program.pid}/exe").linked_to).stdout
    assert pins.tools["gitlab-runner"].version in said, f"the runner is {said.splitlines()[:1]}"
