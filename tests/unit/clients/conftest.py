"""A small web server to describe, and a supervisor in a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.clients.supervisor import Supervisor
from infra.core.server import ConfigFile, Folder, Listener, Probe, Readiness, Server
from tests.trial import free_ports

Describe = Callable[..., Server]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor that does not run yet; whatever it started ends with the test."""
    made = Supervisor(tmp_path / "state")
    yield made
    made.shutdown()


@pytest.fixture
def describe(tmp_path: Path) -> Describe:
    """Describes a web server in `tmp_path/web`; every field can be given otherwise."""
    home = tmp_path / "web"

    def make(**changes: object) -> Server:
        (port,) = free_ports(1)
        return Server.model_validate(
            {
                "name": "web",
                "version": "1",
                "command": [sys.executable, "-u", "-m", "http.server", str(port), "--bind", "127.0.0.1"],
                "working_folder": str(home),
                "folders": [Folder(path=str(home))],
                "files": [ConfigFile(path=str(home / "web.conf"), content="a=1\n")],
                "listeners": [Listener(name="http", number=port)],
                "readiness": Readiness(probe=Probe.HTTP, url=f"http://127.0.0.1:{port}/", timeout=20),
                "log": str(home / "web.log"),
                **changes,
            }
        )

    return make
