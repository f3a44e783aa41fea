"""OpenBao is unsealed, writes down every request, and tells nothing to who has not signed in."""

from __future__ import annotations

from typing import Any

from infra.clients.openbao import OpenBao
from infra.core.settings import Settings
from tests.host.conftest import Ask


def check_openbao_is_unsealed(openbao: OpenBao) -> None:
    health = openbao.health()
    assert health is not None, "OpenBao does not answer"
    assert health["initialized"], "OpenBao is not initialized"
    assert not health["sealed"], "OpenBao is sealed"


def check_openbao_writes_every_request_down(openbao: OpenBao, settings: Settings, host: Any) -> None:
    devices = openbao.audit_devices().values()
    files = [device["options"]["file_path"] for device in devices if device["type"] == "file"]
    assert files, "no audit device of type file is on"
    before = host.file(files[0]).size
    openbao.mounts()
    assert host.file(files[0]).size > before, f"{files[0]} does not grow with a request"


def check_openbao_tells_nothing_without_login(settings: Settings, anybody: Ask) -> None:
    status = anybody(f"{settings.openbao_url}/v1/sys/mounts").status_code
    assert status == 403, f"sys/mounts answers {status} without a token"
