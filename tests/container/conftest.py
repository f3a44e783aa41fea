"""What the checks look at: the containers of the profile that the environment names, from inside and from outside."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import testinfra

from infra.clients.container_engine import ContainerEngine
from infra.clients.openbao import OpenBao
from infra.core.naming import container_name
from infra.core.settings import Settings, load_settings
from infra.toolchain.pin import Pins, load_pins

Inside = Callable[[str], Any]


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings(os.environ)


@pytest.fixture(scope="session")
def engine() -> Iterator[ContainerEngine]:
    made = ContainerEngine.of(os.environ)
    yield made
    made.close()


@pytest.fixture(scope="session")
def inside(settings: Settings) -> Inside:
    """A server's container, seen from inside."""
    return lambda server: testinfra.get_host(f"docker://{container_name(settings.profile.name, server)}")


@pytest.fixture(scope="session")
def machine() -> Any:
    """The machine that configures the profile."""
    return testinfra.get_host("local://")


@pytest.fixture(scope="session")
def inspected(settings: Settings, engine: ContainerEngine) -> Callable[[str], dict[str, Any]]:
    """A server's container, as the engine tells of it."""
    return lambda server: dict(engine.client.containers.get(container_name(settings.profile.name, server)).attrs)


@pytest.fixture(scope="session")
def openbao(settings: Settings) -> Iterator[OpenBao]:
    """OpenBao as Forgeline's operator."""
    client = OpenBao.of(settings)
    yield client
    client.close()


@pytest.fixture(scope="session")
def pins() -> Pins:
    return load_pins()
