"""Nexus is writable, and closed to who has no account and to the password that it is delivered with."""

from __future__ import annotations

from infra.clients.nexus import NexusClient
from infra.core.secret import SecretValue
from infra.core.settings import Settings
from tests.host.conftest import Ask


def check_nexus_is_writable(nexus: NexusClient) -> None:
    assert nexus.writable(), "Nexus is not writable"


def check_nexus_refuses_anonymous_access(nexus: NexusClient, settings: Settings, anybody: Ask) -> None:
    assert not nexus.anonymous()["enabled"], "anonymous access is on"
    status = anybody(f"{settings.nexus_url}/service/rest/v1/security/users").status_code
    assert status in {401, 403}, f"the list of users answers {status} without an account"


def check_nexus_refuses_the_default_password(nexus: NexusClient) -> None:
    assert not nexus.accepts("admin", SecretValue("admin123")), "admin may sign in with admin123"


def check_nexus_knows_the_password_in_openbao(nexus: NexusClient) -> None:
    assert isinstance(nexus.repositories(), list)
