"""What is secret can be read by this user only."""

from __future__ import annotations

from typing import Any

import pytest

from infra.clients.supervisor import Supervisor
from infra.core.settings import Settings

FOLDERS = ("", "openbao", "openbao/data", "openbao/audit", "nexus", "nexus/data", "gitlab", "runner", "supervisor")

FILES = (
    "bootstrap.key",
    "openbao/openbao.json",
    "openbao/audit/audit.log",
    "nexus/data/etc/nexus.properties",
    "runner/config.toml",
    "supervisor/supervisord.conf",
    "supervisor/supervisord.log",
)


@pytest.mark.parametrize("name", FOLDERS, ids=lambda name: name or "state")
def check_folder_is_private(name: str, settings: Settings, host: Any) -> None:
    folder = host.file(str(settings.state / name))
    assert folder.is_directory, f"{settings.state / name} is not there"
    assert folder.mode == 0o700, f"{settings.state / name} has mode {folder.mode:o}, not 700"


@pytest.mark.parametrize("name", FILES)
def check_file_is_private(name: str, settings: Settings, host: Any) -> None:
    file = host.file(str(settings.state / name))
    assert file.is_file, f"{settings.state / name} is not there"
    assert file.mode == 0o600, f"{settings.state / name} has mode {file.mode:o}, not 600"


def check_bootstrap_key_is_whole(settings: Settings, host: Any) -> None:
    size = host.file(str(settings.bootstrap_key)).size
    assert size == 32, f"{settings.bootstrap_key} has {size} bytes, not 32"


def check_control_socket_is_private(supervisor: Supervisor, host: Any) -> None:
    socket = host.file(str(supervisor.place.socket))
    assert socket.is_socket, f"{supervisor.place.socket} is not there"
    assert socket.mode == 0o600, f"{supervisor.place.socket} has mode {socket.mode:o}, not 600"


@pytest.mark.parametrize("name", ["openbao/operator.password", "nexus/data/admin.password"])
def check_first_password_is_gone(name: str, settings: Settings, host: Any) -> None:
    assert not host.file(str(settings.state / name)).exists, f"{settings.state / name} is still there"
