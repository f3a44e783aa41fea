"""Making containers, changing them in place, starting them, and seeing that they are of use."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from docker.errors import APIError
from docker.models.containers import Container as Running
from docker.types import Mount
from docker.utils.socket import frames_iter

from infra.clients.container import LAST_LINES, PROFILE_LABEL, ContainerFiles, failed
from infra.clients.container_engine import absent
from infra.core.error import ServerError
from infra.core.server import ConfigFile, FirstUse, Preparation, Probe, Readiness
from infra.provider.connection import Connections
from infra.provider.docker.container_file import filled, put_files
from infra.provider.docker.container_input import Container
from infra.provider.docker.health import Health
from infra.provider.kind import Fields

MIB = 2**20
NANO = 1_000_000_000
NO_NETWORK = "none"
"""The engine's word for what a container without any network is on."""
NO_GAIN = "no-new-privileges"

START_SECONDS = 1.0
"""How long a container of which nothing else tells that it is of use must live to count as started."""

WAIT_SECONDS = 600.0
PREPARATION_SECONDS = 120


def find(connections: Connections, name: str) -> Running | None:
    """The container of this name."""
    return absent(lambda: connections.engine().client.containers.get(name))


def attached(container: Running) -> dict[str, list[str]]:
    """The networks, with the names that somebody gave: the engine adds the beginning of the id."""
    networks = container.attrs["NetworkSettings"]["Networks"] or {}
    own = {str(container.id)[:12], container.name}
    return {
        name: sorted(set(network.get("Aliases") or []) - own)
        for name, network in sorted(networks.items())
        if name != NO_NETWORK
    }


def create(connections: Connections, wanted: Container) -> Fields:
    """Makes the container, puts its files there, prepares, starts and waits. Raises ServerError with its last lines."""
    engine = connections.engine().client
    networks: dict[str, list[str]] = wanted.networks or {NO_NETWORK: []}
    first, *others = networks
    made = engine.containers.create(
        wanted.image,
        wanted.command,
        name=wanted.name,
        environment=wanted.environment,
        network=first,
        networking_config={first: _endpoint(connections, wanted, first)} if wanted.networks else None,
        extra_hosts=dict(wanted.hosts),
        ports={inside: _outside(outside) for inside, outside in wanted.ports.items()},
        healthcheck=Health.model_validate(wanted.health).as_engine() if wanted.health else None,
        restart_policy=_restart(wanted),
        shm_size=wanted.shm_mib * MIB if wanted.shm_mib else None,
        mem_limit=wanted.memory_mib * MIB if wanted.memory_mib else None,
        nano_cpus=round(wanted.cpus * NANO) if wanted.cpus else None,
        pids_limit=wanted.pids,
        labels=wanted.labels,
        **_confined(wanted),
    )
    for network in others:
        engine.networks.get(network).connect(
            made, aliases=networks[network] or None, ipv4_address=wanted.addresses.get(network)
        )
    _start(connections, made, wanted)
    return {"container_id": made.id}


def change(connections: Connections, container: Running, wanted: Container, *, files: list[dict[str, Any]]) -> Fields:
    """Changes in place what an engine can: limits, networks, and `files`, for which it is started again if need be."""
    engine = connections.engine().client
    container.update(
        mem_limit=(wanted.memory_mib or 0) * MIB,
        memswap_limit=-1 if not wanted.memory_mib else wanted.memory_mib * 2 * MIB,
        restart_policy=_restart(wanted),
    )
    there = attached(container)
    for network in sorted({*there, *wanted.networks}):
        if network in there and there[network] != wanted.networks.get(network):
            engine.networks.get(network).disconnect(container, force=True)
        if network in wanted.networks and there.get(network) != wanted.networks[network]:
            engine.networks.get(network).connect(
                container, aliases=wanted.networks[network] or None, ipv4_address=wanted.addresses.get(network)
            )
    if not all(file["live"] for file in files) and container.status == "running":
        container.stop(timeout=wanted.stop_seconds)
    _start(connections, container, wanted, files=bool(files))
    return {"container_id": container.id}


def delete(connections: Connections, wanted: Container) -> None:
    """Stops and removes the container; its volumes stay."""
    container = find(connections, wanted.name)
    if container is not None:
        container.stop(timeout=getattr(wanted, "stop_seconds", 30))
        container.remove(force=True)


def _confined(wanted: Container) -> dict[str, Any]:
    """What the container and those that prepare for it have in common: user, folders and no privileges."""
    return {
        "user": wanted.user,
        "working_dir": wanted.working_folder,
        "mounts": [
            Mount(target=path, source=volume.removesuffix(":ro"), type="volume", read_only=volume.endswith(":ro"))
            for path, volume in wanted.volumes.items()
        ],
        "tmpfs": dict.fromkeys(wanted.tmpfs, ""),
        "read_only": wanted.read_only,
        "cap_drop": ["ALL"],
        "cap_add": wanted.capabilities,
        "security_opt": [NO_GAIN],
    }


def _endpoint(connections: Connections, wanted: Container, network: str) -> Any:
    return connections.engine().client.api.create_endpoint_config(
        aliases=wanted.networks[network] or None, ipv4_address=wanted.addresses.get(network)
    )


def _restart(wanted: Container) -> Any:
    return {"Name": wanted.restart}


def _outside(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    return address, int(port)


def _start(connections: Connections, container: Running, wanted: Container, *, files: bool = True) -> None:
    """Starts or stops it as wanted, and waits until it is of use. A first start that ends badly is made once more."""
    first = wanted.started_once is not None and ContainerFiles(container).stat(wanted.started_once) is None
    if files:
        put_files(connections, container, wanted, first=first)
    if not wanted.running:
        container.stop(timeout=wanted.stop_seconds)
        return
    container.reload()
    if container.status != "running":
        for preparation in wanted.preparations:
            _prepare(connections, wanted, Preparation.model_validate(preparation))
    try:
        _settle(connections, container, wanted, first=first)
    except ServerError:
        left = [folder for folder in wanted.unfinished if ContainerFiles(container).stat(folder) is not None]
        if not first or not left:
            raise
        container.stop(timeout=wanted.stop_seconds)
        for folder in left:
            aside = f"{folder}.unfinished-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
            _prepare(connections, wanted, Preparation(command=("mv", folder, aside), content=""))
        put_files(connections, container, wanted, first=True)
        _settle(connections, container, wanted, first=True)
    if first and wanted.wait:
        _conclude(connections, container, wanted)


def _conclude(connections: Connections, container: Running, wanted: Container) -> None:
    """The first start ended well: says so in the volume, and takes away what only it needed."""
    marker = ConfigFile(path=str(wanted.started_once), content=datetime.now(UTC).isoformat() + "\n")
    put_files(connections, container, wanted.model_copy(update={"files": [marker.model_dump()], "folders": []}))
    for file in wanted.files:
        if file["first_start_only"]:
            ContainerFiles(container).remove(file["path"])


def _prepare(connections: Connections, wanted: Container, preparation: Preparation) -> None:
    """Runs the command to its end in a container of its own, with the content on its standard input."""
    once = connections.engine().client.containers.create(
        wanted.image,
        list(preparation.command),
        entrypoint=[],
        environment=dict(preparation.environment),
        network_mode=NO_NETWORK,
        stdin_open=True,
        labels={name: value for name, value in wanted.labels.items() if name == PROFILE_LABEL},
        **_confined(wanted),
    )
    try:
        stream = once.attach_socket(params={"stdin": 1, "stream": 1})
        once.start()
        _feed(stream, filled(connections, preparation).encode())
        code = once.wait(timeout=PREPARATION_SECONDS)["StatusCode"]
        stream.close()
        if code != 0:
            raise ServerError(
                f"its preparation ended with {code}",
                where=f"container {wanted.name}",
                detail=once.logs(tail=LAST_LINES).decode(errors="replace").strip(),
                fix="read the message above, then `forgeline up`",
            )
    finally:
        once.remove(force=True)


def _feed(stream: Any, content: bytes) -> None:
    """Writes to a container's standard input, and ends it."""
    connection = getattr(stream, "_sock", stream)
    connection.sendall(content)
    connection.shutdown(socket.SHUT_WR)


def _use(connections: Connections, container: Running, wanted: Container, use: FirstUse) -> None:
    """Runs the command inside as soon as the server answers, with the content on its standard input."""
    api = connections.engine().client.api
    readiness = Readiness.model_validate(wanted.readiness)
    answering = readiness.model_copy(update={"probe": Probe.HTTP, "url": use.answers, "secrets": {}})
    connections.containers().wait_ready(wanted.name, answering, shown=wanted.name)
    run = api.exec_create(container.id, list(use.command), stdin=True)["Id"]
    stream = api.exec_start(run, socket=True)
    _feed(stream, filled(connections, use).encode())
    frames: Iterable[tuple[int, bytes]] = frames_iter(stream, tty=False)  # type: ignore[no-untyped-call]
    said = b"".join(text for _, text in frames)
    stream.close()
    code = api.exec_inspect(run)["ExitCode"]
    if code != 0:
        raise failed(container, f"{use.command[0]} ended with {code} at the first use", _shown(said))


def _shown(said: bytes) -> str:
    return "\n".join(said.decode(errors="replace").strip().splitlines()[-LAST_LINES:])


def _settle(connections: Connections, container: Running, wanted: Container, *, first: bool) -> None:
    """Starts it and waits until it is of use, or only runs. Raises ServerError with its last lines."""
    try:
        container.start()
    except APIError as error:
        raise failed(container, f"can't be started: {error.explanation}") from error
    if wanted.wait and wanted.readiness is not None:
        for use in wanted.first_uses if first else ():
            _use(connections, container, wanted, FirstUse.model_validate(use))
        readiness = Readiness.model_validate(wanted.readiness)
        connections.containers().wait_ready(wanted.name, readiness, shown=wanted.name)
        return
    alive, deadline = time.monotonic() + START_SECONDS, time.monotonic() + WAIT_SECONDS
    while wanted.wait:
        container.reload()
        state = container.attrs["State"]
        health = (state.get("Health") or {}).get("Status")
        if state["Status"] != "running" or state.get("Restarting"):
            raise failed(container, f"ended by itself with exit code {state['ExitCode']}")
        if health == "unhealthy":
            raise failed(container, "runs, and does not get healthy", state["Health"]["Log"][-1]["Output"])
        if health == "healthy" or (health is None and time.monotonic() > alive):
            return
        if time.monotonic() > deadline:
            raise failed(container, f"is not healthy after {WAIT_SECONDS:.0f} s")
        time.sleep(0.2)
