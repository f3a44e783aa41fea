"""The servers run, listen where they should and nowhere else, and show no secret to whoever lists processes."""

from __future__ import annotations

import ipaddress
from typing import Any

import psutil
import pytest

from infra.clients.openbao import OpenBao
from infra.clients.supervisor import State, Supervisor
from infra.clients.supervisor.daemon import processes
from infra.core.settings import Settings
from tests.platform_secret import platform_secrets

SERVERS = ("openbao", "nexus", "gitlab", "runner")


@pytest.mark.parametrize("name", SERVERS)
def check_process_runs_under_the_supervisor(name: str, supervisor: Supervisor, host: Any) -> None:
    program = supervisor.program(name)
    assert program is not None, f"the supervisor knows no program {name}"
    assert program.state == State.RUNNING, f"{name} is {program.state}"
    found = host.process.get(pid=program.pid)
    assert found.ppid == host.process.get(pid=found.ppid).pid


def check_ports_are_open(settings: Settings, host: Any) -> None:
    ports = settings.profile.ports.model_dump()
    closed = [f"{name} {port}" for name, port in ports.items() if not _listens(settings.profile.address, port, host)]
    assert not closed, f"nobody listens on {', '.join(closed)}"


def check_ports_are_on_loopback_only(supervisor: Supervisor) -> None:
    listeners = [listener for process in processes(supervisor.place) for listener in _listeners(process)]
    assert listeners, "nothing of this stack listens at all"
    open_to_others = [f"{name} {ip}:{port}" for name, ip, port in listeners if not _loopback(ip)]
    assert not open_to_others, f"reachable from elsewhere: {', '.join(open_to_others)}"


def check_secrets_are_not_shown_in_the_process_list(supervisor: Supervisor, openbao: OpenBao) -> None:
    values = platform_secrets(openbao)
    shown = [
        f"{name} in process {process.pid}"
        for process in processes(supervisor.place)
        for words in [_words(process)]
        for name, value in values.items()
        if value in words
    ]
    assert not shown, f"shown to whoever lists processes: {', '.join(shown)}"


def _listeners(process: psutil.Process) -> list[tuple[str, str, int]]:
    """Name, address and port of what it listens on; nothing of a job that ended meanwhile."""
    try:
        connections = process.net_connections("inet")
        name = process.name()
    except psutil.NoSuchProcess:
        return []
    return [(name, one.laddr.ip, one.laddr.port) for one in connections if one.status == psutil.CONN_LISTEN]


def _words(process: psutil.Process) -> str:
    """Its arguments and its environment; nothing of a job that ended meanwhile."""
    try:
        return " ".join([*process.cmdline(), *process.environ().values()])
    except psutil.NoSuchProcess:
        return ""


def _listens(address: str, port: int, host: Any) -> bool:
    return bool(host.socket(f"tcp://{address}:{port}").is_listening)


def _loopback(ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
