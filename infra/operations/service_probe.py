"""Asks the services themselves: which version answers in an environment, and whether it says that it is healthy."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from infra.core.settings import Settings
from pipelines.catalogue import Service

PROBE_SECONDS = 3.0

CONNECTIONS = 64
"""Questions under way at once."""


class ServiceProbe:
    """Speaks to running services, over connections that all its questions share. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=0)
        self._client = httpx.Client(timeout=PROBE_SECONDS, trust_env=False, limits=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._client.close()

    def url(self, service: Service, environment: str) -> str:
        """Where the service is in an environment."""
        return f"http://{self._settings.environment_address}:{self._settings.service_port(service.port, environment)}"

    def environments(self, service: Service) -> tuple[str, ...]:
        """The service's environments that this profile has."""
        return tuple(str(one) for one in service.environments if one in self._settings.profile.environment_port_offsets)

    def version(self, service: Service, environment: str) -> str | None:
        """The version that answers there, or None where none does."""
        try:
            answer = self._client.get(f"{self.url(service, environment)}/version")
            return str(answer.json()["version"]) if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    def healthy(self, service: Service, environment: str) -> bool:
        """Whether it answers, and says that it is well."""
        try:
            return self._client.get(f"{self.url(service, environment)}/health").status_code == 200
        except httpx.HTTPError:
            return False
