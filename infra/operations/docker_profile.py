"""What the profile `docker` is made of: its authority, its servers, and the images that they run."""

from __future__ import annotations

from infra.clients.authority import Authority, ensure_authority
from infra.clients.bootstrap import ensure_key, read_key
from infra.core.server import Server
from infra.core.settings import Settings
from infra.images.recipe import JOBS, recipes
from infra.programs.docker import containers, docker_servers
from infra.programs.foundation import Foundation
from infra.servers.container import PROGRAMS, runner_name

TOOLS = "jobs-"
"""How the names of images begin that bring tools for jobs."""


def servers(settings: Settings) -> tuple[Server, ...]:
    """The servers of the profile."""
    return docker_servers(settings, _authority(settings))


def images() -> dict[str, str]:
    """The image of each server that runs in a container."""
    return {recipe.server: recipe.reference("") for recipe in recipes() if recipe.server}


def foundation(settings: Settings) -> Foundation:
    """The servers, with what their containers need beside their descriptions."""
    brought = {
        f"/{JOBS}/{recipe.name.removeprefix(TOOLS)}": recipe.reference("")
        for recipe in recipes()
        if recipe.name.startswith(TOOLS)
    }
    # Jobs sign in to OpenBao with its own program.
    brought[str(PROGRAMS["openbao"].parent)] = images()["openbao"]
    return Foundation(
        servers=servers(settings),
        runner_description=runner_name(settings),
        containers=containers(settings, images(), brought),
    )


def _authority(settings: Settings) -> Authority:
    """The profile's own, made with the bootstrap key where one of them is missing."""
    ensure_key(settings.bootstrap_key)
    profile = settings.profile
    key = read_key(settings.bootstrap_key)
    return ensure_authority(settings.state / "tls", key, name=profile.name, hosts=(profile.address,))
