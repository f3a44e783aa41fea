"""The placement "container": each server on its own volume and address; only the proxy is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.clients.container import PROFILE_LABEL, SERVER_LABEL
from infra.core.naming import container_name
from infra.core.server import Server
from infra.servers.housing import Housing

if TYPE_CHECKING:
    import pulumi

PROXY = "proxy"
RUNNER = "runner"

HEALTH_SECONDS = 30
"""Between two questions of the engine's whether a server is well: each starts a process inside, some 30 ms of work."""
HEALTH_TIMEOUT = 10

PIDS = 4096
"""Processes and threads at most: against what forks without end, far from what a server or a build needs."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image by its name, and what says which one it is: one that is built anew has another of the same name."""

    name: str
    identifier: str
    """The id that the name has on the engine; of one that is pulled its digest."""
    pulled: bool = False
    """Whether a registry has it: it is brought to the engine first."""

    @property
    def volume(self) -> str:
        """What a volume is called that is made of it."""
        name = self.name.rpartition("/")[2].replace(":", "-")
        return f"{name}-{self.identifier.removeprefix('sha256:')[:12]}"


@dataclass(frozen=True, kw_only=True)
class Brought:
    """A folder that another image than its own brings into a container, read-only."""

    image: Image
    path: str
    """Where the image has it."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The proxy's certificate: where it is, whom it is for, and who signs it in OpenBao."""

    path: str
    key: str
    hosts: tuple[str, ...]
    mount: str
    role: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Containers:
    """All that containers need beside the servers' descriptions."""

    profile: str
    subnet: str
    gateway: str
    address: str
    """Where the proxy is published."""
    housings: Mapping[str, Housing]
    """What the servers' images ask of their containers."""
    images: Mapping[str, Image]
    """By the server's name."""
    addresses: Mapping[str, str]
    memory_mib: Mapping[str, int]
    """At most."""
    certificate: Shown | None
    """What OpenBao signs; None where the proxy shows somebody else's."""
    hosts: Mapping[str, str] = field(default_factory=dict)
    """Names to addresses that every container knows."""
    brought: Mapping[str, Mapping[str, Brought]] = field(default_factory=dict)
    """By the server's name, what it finds beside what its image has: by the folder."""


Place = Callable[[Server, "list[pulumi.Resource]", bool], "pulumi.Resource"]
"""Declares a server's resources, after those it needs; whether it is waited for. Returns what others wait for."""


def placing(inputs: Containers) -> Place:
    """Declares the network, and returns how a server is declared."""
    import pulumi

    from infra.provider.resource import docker

    labels = {PROFILE_LABEL: inputs.profile}
    pulled = {
        image.name: docker.Image(image.name, reference=image.name, digest=image.identifier)
        for image in _images(inputs)
        if image.pulled
    }
    network = docker.Network(
        "network",
        name=f"forgeline-{inputs.profile}",
        subnet=inputs.subnet,
        gateway=inputs.gateway,
        labels=labels,
    )

    def place(server: Server, needs: list[pulumi.Resource], wait: bool) -> pulumi.Resource:
        name = container_name(inputs.profile, server.name)
        image, housing = inputs.images[server.name], inputs.housings[server.name]
        volumes = {
            str(path): docker.Volume(server.name + suffix, name=name + suffix, labels=labels)
            for suffix, path in housing.volumes.items()
        }
        brought = _brought(inputs, server.name, labels, pulled)
        published = server.listeners if server.name == PROXY else ()
        container = docker.Container(
            server.name,
            name=name,
            image=image.name,
            image_id=pulled[image.name].image_id if image.pulled else image.identifier,
            command=list(server.command),
            environment=dict(server.environment),
            user=housing.user,
            working_folder=server.working_folder,
            volumes={**{path: volume.name for path, volume in volumes.items()}, **brought},
            tmpfs=list(housing.tmpfs),
            shm_mib=housing.shm_mib,
            read_only=housing.read_only,
            capabilities=list(housing.capabilities),
            networks={f"forgeline-{inputs.profile}": []},
            addresses={f"forgeline-{inputs.profile}": inputs.addresses[server.name]},
            hosts=dict(inputs.hosts),
            ports={f"{one.number}/tcp": f"{inputs.address}:{one.number}" for one in published},
            folders=[folder.model_dump(mode="json") for folder in server.folders],
            files=[file.model_dump(mode="json") for file in server.files],
            preparations=[preparation.model_dump(mode="json") for preparation in server.preparations],
            first_uses=[use.model_dump(mode="json") for use in server.first_uses],
            # Of a server that nobody waits for here nobody sees how its first start ends.
            started_once=(server.started_once or None) if wait else None,
            unfinished=list(server.unfinished),
            readiness=server.readiness.model_dump(mode="json"),
            health={
                "command": list(server.health),
                "interval_seconds": HEALTH_SECONDS,
                "timeout_seconds": HEALTH_TIMEOUT,
                "start_seconds": server.readiness.timeout,
            },
            memory_mib=inputs.memory_mib[server.name],
            pids=PIDS,
            stop_seconds=server.stop_seconds,
            labels={**labels, SERVER_LABEL: server.name},
            wait=wait,
            opts=pulumi.ResourceOptions(depends_on=[network, *volumes.values(), *needs]),
        )
        shown = inputs.certificate
        if server.name != "openbao" or shown is None:
            return container
        # From here on whoever needs OpenBao reaches it through the proxy as it stays.
        return docker.Certificate(
            PROXY,
            container=container_name(inputs.profile, PROXY),
            path=shown.path,
            key=shown.key,
            hosts=list(shown.hosts),
            mount=shown.mount,
            role=shown.role,
            shown_at=shown.at,
            user=inputs.housings[PROXY].user,
            opts=pulumi.ResourceOptions(depends_on=[container]),
        )

    return place


def _images(inputs: Containers) -> list[Image]:
    """Every image once."""
    brought = [one.image for folders in inputs.brought.values() for one in folders.values()]
    return list({image.name: image for image in (*inputs.images.values(), *brought)}.values())


def _brought(
    inputs: Containers, server: str, labels: Mapping[str, str], pulled: Mapping[str, pulumi.Resource]
) -> dict[str, pulumi.Input[str]]:
    """A volume for each folder that is brought, made of its image and named after it: another image, another volume."""
    import pulumi

    from infra.provider.resource import docker

    volumes: dict[str, pulumi.Input[str]] = {}
    for folder, one in inputs.brought.get(server, {}).items():
        name = container_name(inputs.profile, f"{server}-{one.image.volume}")
        after = [pulled[one.image.name]] if one.image.pulled else []
        made = docker.Volume(
            name,
            name=name,
            image=one.image.name,
            path=one.path,
            labels=dict(labels),
            opts=pulumi.ResourceOptions(depends_on=after),
        )
        volumes[folder] = pulumi.Output.concat(made.name, ":ro")
    return volumes
