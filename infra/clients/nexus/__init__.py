"""The client of Sonatype Nexus Repository."""

from infra.clients.nexus.client import NexusClient, configurer
from infra.clients.nexus.transport import UnauthorizedError

__all__ = ["NexusClient", "UnauthorizedError", "configurer"]
