"""Containers. What an engine can change is changed in place; anything else means another container on the same volumes.

Every container gives up all capabilities that are not asked for, may gain no privileges, and is never privileged.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from docker.errors import APIError
from docker.models.containers import Container as Running
from docker.types import Mount
from pydantic import AfterValidator, BaseModel, Field, model_validator

from infra.clients.container_engine import absent, remedy
from infra.core.error import ServerError
from infra.core.server import ConfigFile
from infra.provider.connection import Connections
from infra.provider.docker.container_file import put_files, read_files
from infra.provider.docker.health import Health
from infra.provider.kind import Fields, Found, Inputs, Kind, Names

MIB = 2**20
NANO = 1_000_000_000
START_SECONDS = 1.0
"""How long a container without a health check must live to count as started."""

LAST_LINES = 20
NO_NETWORK = "none"
"""The engine's word for what a container without any network is on."""

WAIT_SECONDS = 600.0
_NO_GAIN = "no-new-privileges"


def _whole(model: type[BaseModel]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Makes fields out of fields: checked, and complete with their defaults."""
    return lambda given: model.model_validate(given).model_dump(mode="json")


class Container(Inputs):
    """A container, running unless `running` says otherwise. Nothing secret is in it but in its files."""

    name: str
    image: str
    """By its id or its name."""
    command: list[str] | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    """Nothing secret: `docker inspect` shows it."""
    user: str | None = None
    """`UID:GID`, or a name that the image knows."""
    volumes: dict[str, str] = Field(default_factory=dict)
    """Path in the container to a volume's name; with `:ro` behind it for reading only."""
    tmpfs: Names = Field(default_factory=list)
    """Paths that are memory."""
    networks: dict[str, Names] = Field(default_factory=dict)
    """Networks, and the names under which it is known there beside its own."""
    ports: dict[str, str] = Field(default_factory=dict)
    """Port in the container (`8443/tcp`) to `ADDRESS:PORT` outside."""
    files: list[Annotated[dict[str, Any], AfterValidator(_whole(ConfigFile))]] = Field(default_factory=list)
    """Files as `ConfigFile` has them. Where the file system is read-only they must be in a volume."""
    health: Annotated[dict[str, Any], AfterValidator(_whole(Health))] | None = None
    """How the engine sees that it is of use: as `Health` has it."""
    restart: Literal["no", "always", "unless-stopped", "on-failure"] = "unless-stopped"
    memory_mib: int | None = Field(default=None, ge=6)
    cpus: float | None = Field(default=None, gt=0)
    pids: int | None = Field(default=None, ge=1)
    """Processes and threads at most."""
    read_only: bool = True
    """Whether its own file system is."""
    capabilities: Names = Field(default_factory=list)
    """The only ones that it has."""
    hardened: bool = True
    """Not privileged, no privileges to be gained, no capability but those named. Not to be chosen, only to be seen."""
    stop_seconds: int = Field(default=30, ge=0)
    """How long it is waited for when it is to stop, before it is killed."""
    labels: dict[str, str] = Field(default_factory=dict)
    running: bool = True
    wait: bool = True
    """Whether the resource is there when the container is healthy, or already when it runs."""

    @model_validator(mode="after")
    def _is_hardened(self) -> Self:
        if not self.hardened:
            raise ValueError("every container is hardened")
        return self


def _find(connections: Connections, name: str) -> Running | None:
    return absent(lambda: connections.engine().client.containers.get(name))


def _read(connections: Connections, wanted: Container) -> Found | None:
    container = _find(connections, wanted.name)
    if container is None:
        return None
    attributes = container.attrs
    config, host = attributes["Config"], attributes["HostConfig"]
    image = absent(lambda: connections.engine().client.images.get(attributes["Image"]))
    own = (image.attrs.get("Config") or {}) if image is not None else {}
    given = getattr(wanted, "image", None)
    named = absent(lambda: connections.engine().client.images.get(given)) if given else None
    fields = {
        "name": wanted.name,
        "image": given if named is not None and named.id == attributes["Image"] else attributes["Image"],
        "command": config["Cmd"],
        "environment": _pairs(config.get("Env"), without=_pairs(own.get("Env"))),
        "user": config.get("User") or None,
        "volumes": {
            mount["Destination"]: mount["Name"] + ("" if mount["RW"] else ":ro")
            for mount in attributes["Mounts"]
            if mount["Type"] == "volume"
        },
        "tmpfs": sorted(host.get("Tmpfs") or {}),
        "networks": _networks(container),
        "ports": {
            inside: f"{outside[0]['HostIp']}:{outside[0]['HostPort']}"
            for inside, outside in sorted((host.get("PortBindings") or {}).items())
            if outside
        },
        "files": read_files(connections, container, getattr(wanted, "files", [])),
        "health": Health.of(config.get("Healthcheck")),
        "restart": (host.get("RestartPolicy") or {}).get("Name") or "no",
        "memory_mib": host["Memory"] // MIB or None,
        "cpus": host["NanoCpus"] / NANO or None,
        "pids": host.get("PidsLimit") or None,
        "read_only": host["ReadonlyRootfs"],
        "capabilities": sorted(one.removeprefix("CAP_") for one in host.get("CapAdd") or []),
        "hardened": not host["Privileged"]
        and host.get("CapDrop") == ["ALL"]
        and any(option.startswith(_NO_GAIN) for option in host.get("SecurityOpt") or []),
        "labels": {
            key: value
            for key, value in (config.get("Labels") or {}).items()
            if (own.get("Labels") or {}).get(key) != value
        },
        "running": container.status == "running",
    }
    return Found(fields=fields, computed={"container_id": container.id})


def _pairs(words: list[str] | None, without: dict[str, str] | None = None) -> dict[str, str]:
    pairs = dict(word.partition("=")[::2] for word in words or [])
    return {name: value for name, value in pairs.items() if (without or {}).get(name) != value}


def _networks(container: Running) -> dict[str, list[str]]:
    """The networks, with the names that somebody gave: the engine adds the beginning of the id."""
    attached = container.attrs["NetworkSettings"]["Networks"] or {}
    own = {str(container.id)[:12], container.name}
    return {
        name: sorted(set(network.get("Aliases") or []) - own)
        for name, network in sorted(attached.items())
        if name != NO_NETWORK
    }


def _create(connections: Connections, wanted: Container) -> Fields:
    engine = connections.engine().client
    networks: dict[str, list[str]] = wanted.networks or {NO_NETWORK: []}
    first, *others = networks
    endpoint = engine.api.create_endpoint_config(aliases=networks[first] or None)
    made = engine.containers.create(
        wanted.image,
        wanted.command,
        name=wanted.name,
        environment=wanted.environment,
        user=wanted.user,
        mounts=[
            Mount(target=path, source=volume.removesuffix(":ro"), type="volume", read_only=volume.endswith(":ro"))
            for path, volume in wanted.volumes.items()
        ],
        tmpfs=dict.fromkeys(wanted.tmpfs, ""),
        network=first,
        networking_config={first: endpoint} if wanted.networks else None,
        ports={inside: _outside(outside) for inside, outside in wanted.ports.items()},
        healthcheck=Health.model_validate(wanted.health).as_engine() if wanted.health else None,
        restart_policy=_restart(wanted),
        mem_limit=wanted.memory_mib * MIB if wanted.memory_mib else None,
        nano_cpus=round(wanted.cpus * NANO) if wanted.cpus else None,
        pids_limit=wanted.pids,
        read_only=wanted.read_only,
        cap_drop=["ALL"],
        cap_add=wanted.capabilities,
        security_opt=[_NO_GAIN],
        labels=wanted.labels,
    )
    for network in others:
        engine.networks.get(network).connect(made, aliases=networks[network] or None)
    put_files(connections, made, wanted.files, wanted.user)
    _settle(connections, wanted)
    return {"container_id": made.id}


def _restart(wanted: Container) -> Any:
    return {"Name": wanted.restart}


def _outside(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    return address, int(port)


def _update(connections: Connections, old: Fields, wanted: Container) -> Fields:
    container = _find(connections, wanted.name)
    given = wanted.model_dump(mode="json", include=set(CONTAINER.replace), exclude_none=True)
    if container is None or any(old.get(name) != value for name, value in given.items()):
        # One that is adopted may differ in what no engine changes: its data is in volumes, and stays.
        _delete(connections, wanted)
        return _create(connections, wanted)
    engine = connections.engine().client
    container.update(
        mem_limit=(wanted.memory_mib or 0) * MIB,
        memswap_limit=-1 if not wanted.memory_mib else wanted.memory_mib * 2 * MIB,
        restart_policy=_restart(wanted),
    )
    there = _networks(container)
    for network in sorted({*there, *wanted.networks}):
        if network in there and there[network] != wanted.networks.get(network):
            engine.networks.get(network).disconnect(container, force=True)
        if network in wanted.networks and there.get(network) != wanted.networks[network]:
            engine.networks.get(network).connect(container, aliases=wanted.networks[network] or None)
    if old.get("files") != [dict(file) for file in wanted.files]:
        put_files(connections, container, wanted.files, wanted.user)
        if container.status == "running":
            container.restart(timeout=wanted.stop_seconds)
    _settle(connections, wanted)
    return {"container_id": container.id}


def _settle(connections: Connections, wanted: Container) -> None:
    """Starts or stops it as wanted, and waits until it is of use. Raises ServerError with its last lines."""
    container = _find(connections, wanted.name)
    assert container is not None  # noqa: S101 - it was there a moment ago
    if not wanted.running:
        container.stop(timeout=wanted.stop_seconds)
        return
    try:
        container.start()
    except APIError as error:
        raise _failed(container, f"can't be started: {error.explanation}") from error
    alive, deadline = time.monotonic() + START_SECONDS, time.monotonic() + WAIT_SECONDS
    while wanted.wait:
        container.reload()
        state = container.attrs["State"]
        health = (state.get("Health") or {}).get("Status")
        if state["Status"] != "running" or state.get("Restarting"):
            raise _failed(container, f"ended by itself with exit code {state['ExitCode']}")
        if health == "unhealthy":
            raise _failed(container, "runs, and does not get healthy", state["Health"]["Log"][-1]["Output"])
        if health == "healthy" or (health is None and time.monotonic() > alive):
            return
        if time.monotonic() > deadline:
            raise _failed(container, f"is not healthy after {WAIT_SECONDS:.0f} s")
        time.sleep(0.2)


def _failed(container: Running, what: str, said: str = "") -> ServerError:
    lines = container.logs(tail=LAST_LINES).decode(errors="replace").strip()
    told = "\n".join(part for part in (said.strip(), lines) if part)
    fix = remedy(what) or f"docker logs {container.name}"
    return ServerError(what, where=f"container {container.name}", detail=told, fix=fix)


def _delete(connections: Connections, wanted: Container) -> None:
    container = _find(connections, wanted.name)
    if container is not None:
        container.stop(timeout=getattr(wanted, "stop_seconds", 30))
        container.remove(force=True)


CONTAINER = Kind(
    type_name="forgeline:docker:Container",
    inputs=Container,
    key=("name",),
    computed={"container_id": str},
    write_only=frozenset({"wait", "stop_seconds"}),
    replace=frozenset(
        {"image", "command", "environment", "user", "volumes", "tmpfs", "ports", "health", "cpus", "pids", "read_only"}
        | {"capabilities", "hardened", "labels"}
    ),
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
