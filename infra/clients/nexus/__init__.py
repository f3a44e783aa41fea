"""The client of Sonatype Nexus Repository."""

from infra.clients.nexus.client import NexusClient
from infra.clients.nexus.transport import UnauthorizedError

__all__ = ["NexusClient", "UnauthorizedError"]
