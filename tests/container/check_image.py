"""What runs is what is pinned, in images that say what they are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from infra.clients.container_engine import ContainerEngine
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.core.settings import Settings
from infra.servers.container import HOSTS, PROGRAMS
from infra.toolchain.pin import Pins

Inside = Callable[[str], Any]
Inspected = Callable[[str], dict[str, Any]]

TOLD = {
    "openbao": ("openbao", "version"),
    "runner": ("gitlab-runner", "--version"),
    "proxy": ("caddy", "version"),
}
"""Server to the tool that it is, and how that tells its version."""


@pytest.mark.parametrize("server", TOLD)
def check_version_is_the_pinned_one(server: str, inside: Inside, pins: Pins) -> None:
    tool, question = TOLD[server]
    said = inside(server).check_output("%s %s", str(PROGRAMS[tool]), question)
    assert pins.tools[tool].version in said, f"{server} is {said.splitlines()[:1]}"


def check_nexus_tells_the_pinned_version(settings: Settings, openbao: OpenBao, pins: Pins) -> None:
    with closing(NexusClient.of(settings, openbao)) as nexus:
        version = nexus.version()
    assert version == pins.tools["nexus"].version, f"Nexus is {version or 'of a version that it does not tell'}"


@pytest.mark.parametrize("server", HOSTS)
def check_image_says_what_it_is(server: str, inspected: Inspected, engine: ContainerEngine) -> None:
    labels = engine.client.images.get(inspected(server)["Image"]).labels
    assert labels.get("org.opencontainers.image.title"), f"the image of {server} has no title"
    assert (labels.get("forgeline.stand-in") == "true") is (server == "gitlab")
