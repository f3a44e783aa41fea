"""What runs is what is pinned, in images that say what they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from infra.clients.container_engine import ContainerEngine
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.core.settings import Settings
from infra.images.official import OfficialImages
from infra.servers.container import HOSTS, PROGRAMS, housing
from infra.servers.official import OFFICIAL
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
def check_version_is_the_pinned_one(server: str, inside: Inside, pins: Pins, settings: Settings) -> None:
    tool, question = TOLD[server]
    program = {**PROGRAMS, **housing(settings, server).programs}[tool]
    said = inside(server).check_output("%s %s", str(program), question)
    assert _pinned(server, tool, pins, settings) in said, f"{server} is {said.splitlines()[:1]}"


def check_nexus_tells_the_pinned_version(settings: Settings, openbao: OpenBao, pins: Pins) -> None:
    with closing(NexusClient.of(settings, openbao)) as nexus:
        version = nexus.version()
    # It tells its build too, which a vendor's tag does not: 3.96.3-01.
    wanted = _pinned("nexus", "nexus", pins, settings)
    assert version.startswith(wanted), f"Nexus is {version or 'of a version that it does not tell'}, not {wanted}"


def _pinned(server: str, tool: str, pins: Pins, settings: Settings) -> str:
    """The version that is pinned: of the tool that is built here, or of the vendor's image."""
    if not settings.profile.images.official:
        return pins.tools[tool].version
    # A vendor's tag says more than the version: alpine-v19.4.0.
    return str(re.findall(r"\d+(?:\.\d+)+", OfficialImages.of(settings.image_pins).images[server].version)[0])


@pytest.mark.parametrize("server", HOSTS)
def check_image_says_what_it_is(server: str, inspected: Inspected, engine: ContainerEngine, settings: Settings) -> None:
    image = engine.client.images.get(inspected(server)["Image"])
    if settings.profile.images.official and server in OFFICIAL:
        digest = OfficialImages.of(settings.image_pins).images[server].digest
        told = [one.partition("@")[2] for one in image.attrs["RepoDigests"]]
        assert digest in told, f"{server} runs {told}, and {digest} is pinned"
        return
    labels = image.labels
    assert labels.get("org.opencontainers.image.title"), f"the image of {server} has no title"
    assert (labels.get("forgeline.stand-in") == "true") is (server == "gitlab")
