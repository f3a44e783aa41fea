"""What a container engine lacks for the profile, and the exact remedy for each."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.clients.container import PROFILE_LABEL
from infra.clients.container_engine import ContainerEngine
from infra.clients.port import holder, is_free
from infra.core.error import ServerError
from infra.core.server import Listener
from infra.core.settings import Settings
from infra.operations.check import Check, Verdict
from infra.operations.disk import GIB, disk
from infra.operations.docker_profile import given_certificate

ENDING = 30
"""Days before its end in which a certificate is worth a warning."""
DISK = 4 * GIB
"""Free bytes wanted where the engine keeps volumes: Nexus refuses to write below 4 GiB."""


def examine_engine(settings: Settings, environ: Mapping[str, str], images: Collection[str]) -> list[Check]:
    """Every check of the engine; only the first where none answers. `images` are what containers are made of.

    Raises BadInputError for a certificate that the profile gives and that would not do.
    """
    try:
        engine = ContainerEngine.of(environ)
    except ServerError as error:
        return [Check(name="container engine", verdict=Verdict.MISSING, found=error.what, fix=error.fix)]
    try:
        told: dict[str, Any] = engine.client.info()
        return [
            Check(name="container engine", verdict=Verdict.FINE, found=f"{engine.version} at {engine.host}"),
            _images(engine, images),
            *_network(engine, settings),
            *_ports(engine, settings),
            *_disk(engine, told),
            _memory(settings, int(told["MemTotal"])),
            *_certificate(settings),
        ]
    finally:
        engine.close()


def _images(engine: ContainerEngine, images: Collection[str]) -> Check:
    """Nothing to worry about where some are missing: they are built on the way."""
    there = engine.identifiers(images)
    missing = sorted(name for name in images if name not in there)
    found = f"`forgeline up` builds {', '.join(missing)}" if missing else f"all {len(images)} are there"
    return Check(name="images", verdict=Verdict.FINE, found=found)


def _network(engine: ContainerEngine, settings: Settings) -> Iterator[Check]:
    subnet, name = settings.profile.network.subnet, settings.profile.name
    for network in engine.client.networks.list():
        mine = (network.attrs.get("Labels") or {}).get(PROFILE_LABEL) == name
        for pool in (network.attrs.get("IPAM") or {}).get("Config") or []:
            other = ipaddress.ip_network(pool["Subnet"])
            if not mine and isinstance(other, ipaddress.IPv4Network) and other.overlaps(subnet):
                yield Check(
                    name="network",
                    verdict=Verdict.MISSING,
                    found=f"{subnet} overlaps with {other} of the network {network.name}",
                    fix=f"set another network.subnet in {settings.profile_file}",
                )
                return
    yield Check(name="network", verdict=Verdict.FINE, found=f"{subnet} is free, or this profile's")


def _ports(engine: ContainerEngine, settings: Settings) -> Iterator[Check]:
    published = {
        int(outside["HostPort"])
        for container in engine.client.containers.list(filters={"label": f"{PROFILE_LABEL}={settings.profile.name}"})
        for bindings in (container.attrs["HostConfig"].get("PortBindings") or {}).values()
        for outside in bindings or ()
    }
    ports = settings.profile.ports
    for server, number in (("gitlab", ports.gitlab), ("nexus", ports.nexus), ("openbao", ports.openbao)):
        name = f"port {number} ({server})"
        if number in published:
            yield Check(name=name, verdict=Verdict.FINE, found="used by this stack")
            continue
        try:
            free = is_free(Listener(name=server, number=number, address=settings.profile.address))
        except ServerError:
            # The network's own address is there as soon as the network is.
            free = True
        if free:
            yield Check(name=name, verdict=Verdict.FINE, found="free")
        else:
            yield Check(
                name=name,
                verdict=Verdict.MISSING,
                found=f"in use by {holder(number) or 'another'}",
                fix=f"stop it, or change ports.{server} in {settings.profile_file}",
            )


def _disk(engine: ContainerEngine, told: Mapping[str, Any]) -> Iterator[Check]:
    root = Path(str(told.get("DockerRootDir", "")))
    if not engine.host.startswith("unix:") or not root.is_dir():
        # Another machine's disk is not seen from here.
        return
    yield disk(root, DISK, fix="free some: `docker system df` shows who has it")


def _certificate(settings: Settings) -> Iterator[Check]:
    """How long a certificate that the profile gives is good; OpenBao's is signed anew by `up`."""
    name, given = "certificate", given_certificate(settings)
    if given is None:
        return
    days = (given.ends - datetime.now(UTC)).days
    found = f"for {settings.hosts[0]}, good for {days} days"
    if days >= ENDING:
        yield Check(name=name, verdict=Verdict.FINE, found=found)
    else:
        fix = "have another signed and put it into the same file: the next `forgeline up` shows it"
        yield Check(name=name, verdict=Verdict.WARNING, found=found, fix=fix)


def _memory(settings: Settings, total: int) -> Check:
    wanted = settings.profile.memory_gib
    found = f"{total / GIB:.1f} GiB, limits for {wanted} GiB"
    # A machine sold as one of 8 GiB tells a little less.
    if total >= wanted * GIB * 0.9:
        return Check(name="memory", verdict=Verdict.FINE, found=found)
    fix = f"set memory_gib in {settings.profile_file} to 8 or 16"
    return Check(name="memory", verdict=Verdict.WARNING, found=f"{found}: more than there is", fix=fix)
