"""Policies."""

from __future__ import annotations

from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind


class Policy(Inputs):
    """An access control policy in HCL."""

    name: str
    rules: str


def _read(connections: Connections, wanted: Policy) -> Found | None:
    server = connections.openbao().read(f"sys/policies/acl/{wanted.name}")
    if not server:
        return None
    return Found(fields={"name": server["name"], "rules": server["policy"]})


def _write(connections: Connections, wanted: Policy) -> Fields:
    connections.openbao().write(f"sys/policies/acl/{wanted.name}", {"policy": wanted.rules})
    return {}


def _delete(connections: Connections, wanted: Policy) -> None:
    connections.openbao().delete(f"sys/policies/acl/{wanted.name}")


POLICY = Kind(
    type_name="forgeline:vault:Policy",
    inputs=Policy,
    key=("name",),
    read=_read,
    create=_write,
    update=lambda connections, _old, wanted: _write(connections, wanted),
    delete=_delete,
)
