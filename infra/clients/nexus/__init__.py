"""The client of Sonatype Nexus Repository."""

from infra.clients.nexus.agreement import Agreement, AgreementError
from infra.clients.nexus.client import NexusClient, configurer
from infra.clients.nexus.transport import UnauthorizedError

__all__ = ["Agreement", "AgreementError", "NexusClient", "UnauthorizedError", "configurer"]
