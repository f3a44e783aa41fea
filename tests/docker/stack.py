"""A stack in containers for tests: one service, on addresses of its own, to which nothing was done yet."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil

from infra.core.settings import PIPELINES
from tests.trial import Stack


def stack_of(service: str, folder: Path, *, name: str, host: str, lowest: int, more: str = "") -> Stack:
    """The stack of the profile `name`, on the engine at `host`.

    Its subnet's third number is the first that is free from `lowest` on; `more` is what else its profile says.
    """
    pipelines = folder / "pipelines"
    (pipelines / "catalog").mkdir(parents=True)
    shutil.copy(PIPELINES / "catalog" / f"{service}.yaml", pipelines / "catalog")
    for file in ("release.yaml", "teams.yaml", "policy.yaml"):
        shutil.copy(PIPELINES / file, pipelines)
    third = _free_subnet(lowest)
    profile = folder / f"{name}.yaml"
    profile.write_text(
        f"name: {name}\n"
        "placement: docker\n"
        f"address: 172.31.{third}.1\n"
        f"network: {{subnet: 172.31.{third}.0/24}}\n"
        f"environment_address: 172.31.{third}.20\n"
        "environment_port_offsets: {dev: 10000, test: 12000, staging: 14000, production: 16000}\n"
        "memory_gib: 8\n"
        "approvals: {four_eyes: false}\n"
        f"advisories: infra/profiles/advisories\n{more}"
    )
    own = {
        "DOCKER_HOST": host,
        "FORGELINE_PROFILE": str(profile),
        "FORGELINE_STATE": str(folder / "state"),
        "FORGELINE_PIPELINES": str(pipelines),
    }
    return Stack(folder, {**os.environ, **own})


def _free_subnet(lowest: int) -> int:
    """The third number of a subnet of the machine that no interface is in."""
    taken = {one.address for addresses in psutil.net_if_addrs().values() for one in addresses}
    return next(third for third in range(lowest, 250) if not any(one.startswith(f"172.31.{third}.") for one in taken))
