"""What OpenBao keeps: entries whose values it alone knows, and keys that never leave it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infra.core.server import Credential
from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind


class KvSecret(Inputs):
    """An entry of the KV store. `generated` maps a field to the prefix of its random value, made if missing.

    `fixed` fields are no secrets, such as a user's name. No value of a generated field is ever in inputs or state.
    """

    path: str
    generated: dict[str, str] = Field(default_factory=dict)
    fixed: dict[str, str] = Field(default_factory=dict)


class TransitKey(Inputs):
    """A key of the transit engine; it can't be exported."""

    mount: str
    name: str
    type: Literal["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-3072", "rsa-4096", "aes256-gcm96"] = "ed25519"
    deletion_allowed: bool = False
    auto_rotate_period: int | None = None
    """Seconds; 0 is never."""


def _read_kv(connections: Connections, wanted: KvSecret) -> Found | None:
    entry = connections.openbao().read_kv(wanted.path)
    if entry is None:
        return None
    generated = {}
    for name, prefix in wanted.generated.items():
        if name in entry:
            # Whether the value has the prefix is all that is told of it.
            generated[name] = prefix if entry[name].reveal().startswith(prefix) else ""
    fixed = {name: entry[name].reveal() for name in wanted.fixed if name in entry}
    if not wanted.generated and not wanted.fixed:
        generated = dict.fromkeys(entry, "")
    return Found(fields={"path": wanted.path, "generated": generated, "fixed": fixed})


def _write_kv(connections: Connections, wanted: KvSecret) -> Fields:
    connections.openbao().ensure_generated(Credential(path=wanted.path, generated=wanted.generated, fixed=wanted.fixed))
    return {}


def _update_kv(connections: Connections, old: Fields, wanted: KvSecret) -> Fields:
    wrong = {name for name, prefix in (old.get("generated") or {}).items() if prefix != wanted.generated.get(name)}
    entry = connections.openbao().read_kv(wanted.path) or {}
    kept = {name: value for name, value in entry.items() if name not in wrong}
    if entry and kept != entry:
        connections.openbao().write_kv(wanted.path, kept)
    return _write_kv(connections, wanted)


def _delete_kv(connections: Connections, wanted: KvSecret) -> None:
    connections.openbao().delete_kv(wanted.path)


def _read_key(connections: Connections, wanted: TransitKey) -> Found | None:
    openbao = connections.openbao()
    if f"{wanted.mount}/" not in openbao.mounts():
        return None
    key = openbao.read(f"{wanted.mount}/keys/{wanted.name}")
    if not key:
        return None
    return Found(
        fields={
            "mount": wanted.mount,
            "name": key["name"],
            "type": key["type"],
            "deletion_allowed": key["deletion_allowed"],
            "auto_rotate_period": key.get("auto_rotate_period"),
        },
        computed={"latest_version": key["latest_version"]},
    )


def _create_key(connections: Connections, wanted: TransitKey) -> Fields:
    connections.openbao().write(f"{wanted.mount}/keys/{wanted.name}", {"type": wanted.type, "exportable": False})
    if wanted.deletion_allowed or wanted.auto_rotate_period:
        _configure(connections, wanted)
    return {"latest_version": 1}


def _configure(connections: Connections, wanted: TransitKey) -> None:
    values: dict[str, object] = {"deletion_allowed": wanted.deletion_allowed}
    if wanted.auto_rotate_period is not None:
        values["auto_rotate_period"] = f"{wanted.auto_rotate_period}s"
    connections.openbao().write(f"{wanted.mount}/keys/{wanted.name}/config", values)


def _update_key(connections: Connections, old: Fields, wanted: TransitKey) -> Fields:
    _configure(connections, wanted)
    return {"latest_version": old["latest_version"]}


def _delete_key(connections: Connections, wanted: TransitKey) -> None:
    openbao = connections.openbao()
    if _read_key(connections, wanted) is None:
        return
    openbao.write(f"{wanted.mount}/keys/{wanted.name}/config", {"deletion_allowed": True})
    openbao.delete(f"{wanted.mount}/keys/{wanted.name}")


KV_SECRET = Kind(
    type_name="forgeline:vault:KvSecret",
    inputs=KvSecret,
    key=("path",),
    read=_read_kv,
    create=_write_kv,
    update=_update_kv,
    delete=_delete_kv,
)
TRANSIT_KEY = Kind(
    type_name="forgeline:vault:TransitKey",
    inputs=TransitKey,
    key=("mount", "name"),
    replace=frozenset({"type"}),
    computed={"latest_version": int},
    read=_read_key,
    create=_create_key,
    update=_update_key,
    delete=_delete_key,
)
