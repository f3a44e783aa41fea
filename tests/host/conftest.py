"""What the checks look at: the running stack of the profile that the environment names."""

from __future__ import annotations

import os
from collections.abc import Callable

import httpx
import pytest

from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.clients.supervisor import Supervisor
from infra.core.naming import GITLAB_ROOT
from infra.core.secret import SecretRef
from infra.core.settings import Settings, load_settings
from infra.toolchain.pin import Pins, load_pins

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings(os.environ)


@pytest.fixture(scope="session")
def supervisor(settings: Settings) -> Supervisor:
    return Supervisor(settings.state)


@pytest.fixture(scope="session")
def openbao(settings: Settings) -> OpenBao:
    """OpenBao as Forgeline's operator."""
    return OpenBao.of(settings)


@pytest.fixture(scope="session")
def nexus(settings: Settings, openbao: OpenBao) -> NexusClient:
    """Nexus as its administrator."""
    return NexusClient.of(settings, openbao)


@pytest.fixture(scope="session")
def gitlab(settings: Settings, openbao: OpenBao) -> Ask:
    """Asks GitLab's API for a path as its administrator."""
    token = openbao.resolve(SecretRef(GITLAB_ROOT, "token")).reveal()

    def ask(path: str) -> httpx.Response:
        url = f"{settings.gitlab_url}/api/v4/{path}"
        return httpx.get(url, headers={"PRIVATE-TOKEN": token}, trust_env=False, timeout=10)

    return ask


@pytest.fixture(scope="session")
def anybody() -> Ask:
    """Asks an address with no credentials at all."""

    def ask(url: str) -> httpx.Response:
        return httpx.get(url, trust_env=False, timeout=10)

    return ask


@pytest.fixture(scope="session")
def pins() -> Pins:
    return load_pins()
