"""Every container is confined: no root, no capabilities, nothing written but its volume, no port but its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from infra.clients.container import PROFILE_LABEL, SERVER_LABEL
from infra.clients.container_engine import ContainerEngine
from infra.clients.openbao import OpenBao
from infra.core.settings import Settings
from infra.programs.docker import limits
from infra.servers.container import HOSTS, address, home, housing
from tests.platform_secret import platform_secrets

SERVERS = tuple(HOSTS)
MIB = 2**20
CAPABILITIES = {
    **{"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7},
    "NET_BIND_SERVICE": 10,
}
"""The kernel's numbers (linux/capability.h) of those that images may need."""

Inside = Callable[[str], Any]
Inspected = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize("server", SERVERS)
def check_container_runs(server: str, inspected: Inspected) -> None:
    state = inspected(server)["State"]
    assert state["Status"] == "running", f"{server} is {state['Status']} (exit code {state['ExitCode']})"


@pytest.mark.parametrize("server", SERVERS)
def check_engine_finds_it_well(server: str, inspected: Inspected) -> None:
    health = inspected(server)["State"].get("Health")
    assert health, f"the engine does not look after {server}"
    assert health["Status"] != "unhealthy", f"{server}: {health['Log'][-1]['Output']}"


@pytest.mark.parametrize("server", SERVERS)
def check_user_is_its_own(server: str, inside: Inside, settings: Settings) -> None:
    uid, gid = housing(settings, server).user.split(":")
    status = _status(inside(server))
    assert status["Uid"].split() == [uid] * 4, f"{server} runs as {status['Uid']}"
    assert status["Gid"].split() == [gid] * 4, f"{server} runs in group {status['Gid']}"


@pytest.mark.parametrize("server", SERVERS)
def check_only_capabilities_that_its_image_needs(server: str, inside: Inside, settings: Settings) -> None:
    status = _status(inside(server))
    allowed = sum(1 << CAPABILITIES[name] for name in housing(settings, server).capabilities)
    kept = {name: status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb") if int(status[name], 16) & ~allowed}
    assert not kept, f"{server} has {kept}"
    assert status["NoNewPrivs"] == "1", f"{server} may gain privileges"


@pytest.mark.parametrize("server", SERVERS)
def check_only_its_volumes_are_written(server: str, inside: Inside, settings: Settings) -> None:
    host, its = inside(server), housing(settings, server)
    written = "rw" in host.mount_point("/").options
    assert not (its.read_only and written), f"{server}'s own file system may be written"
    for volume in its.volumes.values():
        assert "rw" in host.mount_point(str(volume)).options, f"{server}'s volume {volume} may not be written"
    if its.home is None:
        folder = host.file(str(home(settings, server)))
        assert folder.mode == 0o700, f"{folder.path} has mode {folder.mode:o}"


@pytest.mark.parametrize("server", SERVERS)
def check_nothing_of_the_machine_is_mounted(
    server: str, inspected: Inspected, engine: ContainerEngine, settings: Settings
) -> None:
    mounts = inspected(server)["Mounts"]
    machines = [mount["Source"] for mount in mounts if mount["Type"] != "volume"]
    assert not machines, f"{server} has the machine's {', '.join(machines)}"
    mine = {PROFILE_LABEL: settings.profile.name}.items()
    volumes = [engine.client.volumes.get(mount["Name"]).attrs for mount in mounts]
    others = [one["Name"] for one in volumes if not mine <= (one["Labels"] or {}).items()]
    assert not others, f"{server} has volumes that are not the profile's: {', '.join(others)}"


@pytest.mark.parametrize("server", SERVERS)
def check_files_with_secrets_are_private(server: str, inside: Inside, settings: Settings) -> None:
    question = "find %s -type f -perm /077 -name '*key*' ! -name '*.pub'"
    loose = inside(server).check_output(question, str(home(settings, server))).split()
    assert not loose, f"others may read {', '.join(loose)}"


@pytest.mark.parametrize("server", SERVERS)
def check_memory_is_limited(server: str, inspected: Inspected, settings: Settings) -> None:
    host = inspected(server)["HostConfig"]
    assert host["Memory"] == limits(settings)[server] * MIB, f"{server} may take {host['Memory']}"
    assert host["PidsLimit"], f"{server} may start any number of processes"


@pytest.mark.parametrize("server", SERVERS)
def check_listens_on_its_own_address_only(server: str, inside: Inside, settings: Settings) -> None:
    own = address(settings, server)
    listeners = set(_listeners(inside(server)))
    others = {listener for listener in listeners if listener[0] not in {own, "127.0.0.1", "127.0.0.11"}}
    assert not others, f"{server} listens on {sorted(others)}"
    wanted = _ports(settings).get(server, set())
    missing = wanted - {port for ip, port in listeners if ip == own}
    assert not missing, f"{server} does not listen on {sorted(missing)}"


def check_only_the_proxy_is_published(engine: ContainerEngine, settings: Settings) -> None:
    mine = {"label": f"{PROFILE_LABEL}={settings.profile.name}"}
    published = {
        container.labels[SERVER_LABEL]: {
            (outside["HostIp"], int(outside["HostPort"]))
            for bindings in container.ports.values()
            for outside in bindings or ()
        }
        for container in engine.client.containers.list(filters=mine)
    }
    outside = {(settings.profile.address, port) for port in _ports(settings)["proxy"]}
    assert {server: ports for server, ports in published.items() if ports} == {"proxy": outside}, (
        f"published: {published}"
    )


def check_secrets_are_not_shown_by_the_engine(inspected: Inspected, openbao: OpenBao) -> None:
    values = platform_secrets(openbao)
    shown = [
        f"{name} of {server}" for server in SERVERS for name, value in values.items() if value in str(inspected(server))
    ]
    assert not shown, f"`docker inspect` shows {', '.join(shown)}"


def _ports(settings: Settings) -> dict[str, set[int]]:
    ports = settings.profile.ports
    return {
        "proxy": {ports.gitlab, ports.nexus, ports.openbao},
        "openbao": {ports.openbao, ports.openbao_cluster},
        "gitlab": {ports.gitlab},
        "nexus": {ports.nexus},
    }


def _status(host: Any) -> dict[str, str]:
    """What the system says of the container's first process."""
    lines = host.file("/proc/1/status").content_string.splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _listeners(host: Any) -> list[tuple[str, int]]:
    """Addresses and ports on which the container listens, of IPv4 and IPv6 (proc(5), /proc/net/tcp)."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in host.file(table).content_string.splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                ip, _, port = words[1].partition(":")
                found.append((_readable(ip), int(port, 16)))
    return found


def _readable(text: str) -> str:
    """An address as a person writes it: the table has it in words of the processor's order."""
    raw = bytes.fromhex(text)
    if len(raw) == 4 or raw[:12] == bytes.fromhex("0000000000000000FFFF0000"):
        return ".".join(str(byte) for byte in reversed(raw[-4:]))
    return text
