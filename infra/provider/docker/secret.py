"""Secrets of a swarm. The engine gives none back, so a label tells whether one is still the one that is wanted."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from pydantic import Field

from infra.provider.connection import Connections
from infra.provider.docker.swarm import OWN, Entries, Name, given_labels
from infra.provider.kind import DIFFERS, Fields, Found, Inputs, Kind, Ref

FINGERPRINT = f"{OWN}fingerprint"
"""A label: salt and scrypt of the value. Who reads it has to guess the value, at 16 MiB and some 50 ms a guess."""


class Secret(Inputs):
    """A secret of the swarm. Another value is given to the services that use it, one after the other."""

    name: Name
    value: Ref
    labels: dict[str, str] = Field(default_factory=dict)


def _entries(connections: Connections) -> Entries:
    return Entries(connections.engine(), "secret")


def _fingerprint(value: bytes, salt: str) -> str:
    digest = hashlib.scrypt(value, salt=bytes.fromhex(salt), n=2**14, r=8, p=1, dklen=32)
    return f"{salt}:{digest.hex()}"


def _is(entry: Any, value: bytes) -> bool:
    kept = str((entry.attrs["Spec"].get("Labels") or {}).get(FINGERPRINT, ""))
    try:
        return hmac.compare_digest(kept.encode(), _fingerprint(value, kept.partition(":")[0]).encode())
    except ValueError:
        return False


def _value(connections: Connections, reference: str) -> bytes:
    return connections.secret(reference).reveal().encode()


def _read(connections: Connections, wanted: Secret) -> Found | None:
    entries = _entries(connections)
    entry = entries.find(wanted.name)
    if entry is None:
        return None
    reference = getattr(wanted, "value", None)
    known = (
        reference is not None and not entries.half_replaced(wanted.name) and _is(entry, _value(connections, reference))
    )
    return Found(
        fields={"name": entry.name, "value": reference if known else DIFFERS, "labels": given_labels(entry)},
        computed={"secret_id": entry.id},
    )


def _bring_about(connections: Connections, wanted: Secret) -> Fields:
    entries, value = _entries(connections), _value(connections, wanted.value)
    there = entries.find(wanted.name)
    if there is not None and _is(there, value):
        fingerprint = there.attrs["Spec"]["Labels"][FINGERPRINT]
    else:
        fingerprint = _fingerprint(value, secrets.token_hex(16))
    labels = {**wanted.labels, FINGERPRINT: fingerprint}
    return {"secret_id": entries.bring_about(wanted.name, value, labels, same=lambda entry: _is(entry, value))}


def _delete(connections: Connections, wanted: Secret) -> None:
    _entries(connections).delete(wanted.name)


SECRET = Kind(
    type_name="forgeline:docker:Secret",
    inputs=Secret,
    key=("name",),
    computed={"secret_id": str},
    read=_read,
    create=_bring_about,
    update=lambda connections, _old, wanted: _bring_about(connections, wanted),
    delete=_delete,
)
