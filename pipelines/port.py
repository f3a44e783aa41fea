"""Ports of services in their environments: each its own, none a server's, none that the system hands out itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from infra.core.error import BadInputError
from infra.core.settings import Profile
from pipelines.catalogue import Service

FIRST_OF_THE_SYSTEM: Final = 32768
"""From here on Linux gives ports to connections: a service that starts later could find its own taken."""


def check_ports(services: Iterable[Service], profile: Profile) -> None:
    """Raises BadInputError for the first port that two would share, or that is out of reach."""
    taken = {port: f"the server {name}" for name, port in profile.ports.model_dump().items()}
    for service in services:
        for environment, offset in profile.environment_port_offsets.items():
            if environment not in service.environments:
                continue
            port, who = service.port + offset, f"{service.name} in {environment}"
            fix = f"give {environment} another offset in environment_port_offsets"
            if not 1024 <= port < FIRST_OF_THE_SYSTEM:
                message = f"{who} would listen on {port}, which is not from 1024 to {FIRST_OF_THE_SYSTEM - 1}"
                raise BadInputError(message, where=f"profile {profile.name}", fix=fix)
            other = taken.setdefault(port, who)
            if other != who:
                message = f"{who} would listen on {port}, which is the port of {other}"
                raise BadInputError(message, where=f"profile {profile.name}", fix=fix)
