"""Ports of services in their environments: each its own, none a server's, none that the system hands out itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from infra.core.error import BadInputError
from infra.core.settings import Profile
from pipelines.catalogue import Service

LOWEST: Final = 1024
"""Below it ports are the administrator's."""

FIRST_OF_THE_SYSTEM: Final = 32768
"""From here on Linux gives ports to connections: a service that starts later could find its own taken."""


def free_port(services: Iterable[Service], profile: Profile) -> int:
    """The lowest catalogue port, from the services' lowest on, that is free with all environments' offsets.

    Raises BadInputError where there is none left.
    """
    known = list(services)
    offsets = profile.environment_port_offsets.values()
    taken = {*profile.ports.model_dump().values()}
    taken |= {service.port + offset for service in known for offset in offsets}
    used = {service.port for service in known}
    for port in range(min(used, default=LOWEST), FIRST_OF_THE_SYSTEM):
        wanted = {port + offset for offset in offsets}
        if port not in used and not wanted & taken and all(LOWEST <= one < FIRST_OF_THE_SYSTEM for one in wanted):
            return port
    raise BadInputError(
        "no port is left for another service",
        where=f"profile {profile.name}",
        fix="give the environments offsets with more room between them in environment_port_offsets",
    )


def check_ports(services: Iterable[Service], profile: Profile) -> None:
    """Raises BadInputError for the first port that two would share, or that is out of reach."""
    taken = {port: f"the server {name}" for name, port in profile.ports.model_dump().items()}
    for service in services:
        for environment, offset in profile.environment_port_offsets.items():
            if environment not in service.environments:
                continue
            port, who = service.port + offset, f"{service.name} in {environment}"
            fix = f"give {environment} another offset in environment_port_offsets"
            if not LOWEST <= port < FIRST_OF_THE_SYSTEM:
                message = f"{who} would listen on {port}, which is not from {LOWEST} to {FIRST_OF_THE_SYSTEM - 1}"
                raise BadInputError(message, where=f"profile {profile.name}", fix=fix)
            other = taken.setdefault(port, who)
            if other != who:
                message = f"{who} would listen on {port}, which is the port of {other}"
                raise BadInputError(message, where=f"profile {profile.name}", fix=fix)
