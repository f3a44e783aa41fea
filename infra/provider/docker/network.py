"""Networks between containers. An engine can't change one: another description is another network."""

from __future__ import annotations

from docker.errors import NotFound
from pydantic import Field

from infra.clients.container_engine import absent
from infra.provider.connection import Connections
from infra.provider.docker.container_input import IPv4
from infra.provider.kind import Fields, Found, Inputs, Kind


class Network(Inputs):
    """A network. On an `internal` one nobody reaches the outside."""

    name: str
    driver: str = "bridge"
    internal: bool = False
    subnet: str | None = None
    """In CIDR notation; left to the engine if not given."""
    gateway: IPv4 | None = None
    """This machine's own address on the network."""
    labels: dict[str, str] = Field(default_factory=dict)


def _read(connections: Connections, wanted: Network) -> Found | None:
    # The engine finds by a part of the name too.
    found = connections.engine().client.networks.list(names=[wanted.name])
    network = next((one for one in found if one.name == wanted.name), None)
    if network is None:
        return None
    attributes = network.attrs
    ranges = (attributes.get("IPAM") or {}).get("Config") or []
    return Found(
        fields={
            "name": network.name,
            "driver": attributes["Driver"],
            "internal": attributes["Internal"],
            "subnet": ranges[0].get("Subnet") if ranges else None,
            "gateway": ranges[0].get("Gateway") if ranges else None,
            "labels": attributes.get("Labels") or {},
        },
        computed={"network_id": network.id},
    )


def _create(connections: Connections, wanted: Network) -> Fields:
    from docker.types import IPAMConfig, IPAMPool

    ranges = (
        IPAMConfig(pool_configs=[IPAMPool(subnet=wanted.subnet, gateway=wanted.gateway)]) if wanted.subnet else None
    )
    made = connections.engine().client.networks.create(
        wanted.name, driver=wanted.driver, internal=wanted.internal, labels=wanted.labels, ipam=ranges
    )
    return {"network_id": made.id}


def _update(connections: Connections, _old: Fields, wanted: Network) -> Fields:
    _delete(connections, wanted)
    return _create(connections, wanted)


def _delete(connections: Connections, wanted: Network) -> None:
    found = absent(lambda: connections.engine().client.networks.get(wanted.name))
    if found is not None:
        try:
            found.remove()
        except NotFound:
            return


NETWORK = Kind(
    type_name="forgeline:docker:Network",
    inputs=Network,
    key=("name",),
    computed={"network_id": str},
    replace=frozenset({"driver", "internal", "subnet", "gateway", "labels"}),
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
