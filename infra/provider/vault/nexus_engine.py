"""The secrets engine that makes short-lived Nexus users: how it signs in, and which roles its users get."""

from __future__ import annotations

from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind, Names, Ref, nothing_to_delete


class NexusBackend(Inputs):
    """How the engine signs in to Nexus. It goes with its mount; the password is not told by the server."""

    mount: str
    url: str
    username: str
    password: Ref


class NexusRole(Inputs):
    """A role of the engine: its users have these Nexus roles, and live as long as their lease (seconds)."""

    mount: str
    name: str
    roles: Names
    ttl: int = 600
    max_ttl: int = 3600


def _read_backend(connections: Connections, wanted: NexusBackend) -> Found | None:
    openbao = connections.openbao()
    if f"{wanted.mount}/" not in openbao.mounts():
        return None
    server = openbao.read(f"{wanted.mount}/config")
    if not server:
        return None
    password = getattr(wanted, "password", None)
    fields = {"mount": wanted.mount, "url": server["url"], "username": server["username"], "password": password}
    return Found(fields=fields)


def _write_backend(connections: Connections, wanted: NexusBackend) -> Fields:
    password = connections.secret(wanted.password).reveal()
    values = {"url": wanted.url, "username": wanted.username, "password": password}
    connections.openbao().write(f"{wanted.mount}/config", values)
    return {}


def _read_role(connections: Connections, wanted: NexusRole) -> Found | None:
    server = connections.openbao().read(f"{wanted.mount}/roles/{wanted.name}")
    if not server:
        return None
    return Found(
        fields={
            "mount": wanted.mount,
            "name": wanted.name,
            "roles": sorted(server["roles"]),
            "ttl": server["ttl"],
            "max_ttl": server["max_ttl"],
        }
    )


def _write_role(connections: Connections, wanted: NexusRole) -> Fields:
    values = wanted.model_dump(include={"roles", "ttl", "max_ttl"})
    connections.openbao().write(f"{wanted.mount}/roles/{wanted.name}", values)
    return {}


def _delete_role(connections: Connections, wanted: NexusRole) -> None:
    connections.openbao().delete(f"{wanted.mount}/roles/{wanted.name}")


NEXUS_BACKEND = Kind(
    type_name="forgeline:vault:NexusBackend",
    inputs=NexusBackend,
    key=("mount",),
    read=_read_backend,
    create=_write_backend,
    update=lambda connections, _old, wanted: _write_backend(connections, wanted),
    delete=nothing_to_delete,
)
NEXUS_ROLE = Kind(
    type_name="forgeline:vault:NexusRole",
    inputs=NexusRole,
    key=("mount", "name"),
    read=_read_role,
    create=_write_role,
    update=lambda connections, _old, wanted: _write_role(connections, wanted),
    delete=_delete_role,
)
