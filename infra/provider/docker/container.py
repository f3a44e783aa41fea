"""Containers. What an engine can change is changed in place; anything else means another container on the same volumes.

Every container gives up all capabilities that are not asked for, may gain no privileges, and is never privileged.
"""

from __future__ import annotations

from collections.abc import Mapping

from docker.models.containers import Container as Running

from infra.clients.container import ContainerFiles
from infra.clients.container_engine import absent
from infra.provider.connection import Connections
from infra.provider.docker.container_file import read_files
from infra.provider.docker.container_input import Container
from infra.provider.docker.container_run import MIB, NANO, NO_GAIN, attached, change, create, delete, find
from infra.provider.docker.health import Health
from infra.provider.kind import Fields, Found, Kind


def _read(connections: Connections, wanted: Container) -> Found | None:
    container = find(connections, wanted.name)
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
        "image_id": attributes["Image"] if getattr(wanted, "image_id", None) else None,
        "command": config["Cmd"],
        "environment": _own(config.get("Env"), own.get("Env"), getattr(wanted, "environment", {})),
        "user": config.get("User") or None,
        "working_folder": config.get("WorkingDir") or None,
        "volumes": {
            mount["Destination"]: mount["Name"] + ("" if mount["RW"] else ":ro")
            for mount in attributes["Mounts"]
            if mount["Type"] == "volume"
        },
        "tmpfs": sorted(host.get("Tmpfs") or {}),
        "shm_mib": host["ShmSize"] // MIB,
        "networks": attached(container),
        "addresses": _addresses(container),
        "hosts": dict(entry.split(":", 1) for entry in sorted(host.get("ExtraHosts") or [])),
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
        and any(option.startswith(NO_GAIN) for option in host.get("SecurityOpt") or []),
        "labels": {
            key: value
            for key, value in (config.get("Labels") or {}).items()
            if (own.get("Labels") or {}).get(key) != value
        },
        "running": container.status == "running",
    }
    marker = getattr(wanted, "started_once", None)
    fields["started_once"] = marker if marker and ContainerFiles(container).stat(marker) else None
    # What was done before the start can't be told from the outside.
    fields["first_uses"] = getattr(wanted, "first_uses", [])
    fields["preparations"] = getattr(wanted, "preparations", [])
    return Found(fields=fields, computed={"container_id": container.id})


def _own(words: list[str] | None, images: list[str] | None, asked: Mapping[str, str]) -> dict[str, str]:
    """The variables that are not the image's own, and those that were asked for though it has them."""
    given, there = (dict(word.partition("=")[::2] for word in part or []) for part in (words, images))
    return {name: value for name, value in given.items() if name in asked or there.get(name) != value}


def _addresses(container: Running) -> dict[str, str]:
    """The fixed addresses: those that somebody gave."""
    networks = container.attrs["NetworkSettings"]["Networks"] or {}
    given = {name: (network.get("IPAMConfig") or {}).get("IPv4Address") for name, network in sorted(networks.items())}
    return {name: address for name, address in given.items() if address}


def _update(connections: Connections, old: Fields, wanted: Container) -> Fields:
    container = find(connections, wanted.name)
    given = wanted.model_dump(mode="json", include=set(CONTAINER.replace), exclude_none=True)
    if container is None or any(old.get(name) != value for name, value in given.items()):
        # One that is adopted may differ in what no engine changes: its data is in volumes, and stays.
        delete(connections, wanted)
        return create(connections, wanted)
    files = [file for file in wanted.files if dict(file) not in (old.get("files") or [])]
    return change(connections, container, wanted, files=files)


CONTAINER = Kind(
    type_name="forgeline:docker:Container",
    inputs=Container,
    key=("name",),
    computed={"container_id": str},
    write_only=frozenset({"wait", "stop_seconds", "folders", "unfinished", "readiness"}),
    replace=frozenset(
        {
            "image",
            "image_id",
            "command",
            "environment",
            "user",
            "volumes",
            "tmpfs",
            "shm_mib",
            "ports",
            "health",
            "cpus",
            "pids",
            "read_only",
        }
        | {"capabilities", "hardened", "labels", "working_folder", "addresses", "hosts", "preparations"}
    ),
    read=_read,
    create=create,
    update=_update,
    delete=delete,
)
