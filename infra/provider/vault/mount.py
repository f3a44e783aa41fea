"""What is mounted: auth methods, secrets engines, and the plug-ins that the catalogue knows."""

from __future__ import annotations

from typing import Any

from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind


class AuthMount(Inputs):
    """An auth method mounted at a path."""

    path: str
    type: str
    description: str = ""


class SecretsMount(Inputs):
    """A secrets engine mounted at a path. Removing it removes what it holds."""

    path: str
    type: str
    description: str = ""
    options: dict[str, str] | None = None
    default_lease_ttl: int | None = None
    """Seconds; 0 is the server's default."""
    max_lease_ttl: int | None = None
    """Seconds; 0 is the server's default."""


class Plugin(Inputs):
    """A secrets engine's binary in the catalogue; OpenBao runs it only while its sum is `sha256`."""

    name: str
    command: str
    sha256: str


def _read_auth(connections: Connections, wanted: AuthMount) -> Found | None:
    mount = connections.openbao().auth_methods().get(f"{wanted.path}/")
    if mount is None:
        return None
    fields = {"path": wanted.path, "type": mount["type"], "description": mount["description"]}
    return Found(fields=fields, computed={"accessor": mount["accessor"]})


def _create_auth(connections: Connections, wanted: AuthMount) -> Fields:
    openbao = connections.openbao()
    openbao.write(f"sys/auth/{wanted.path}", {"type": wanted.type, "description": wanted.description})
    return {"accessor": openbao.auth_methods()[f"{wanted.path}/"]["accessor"]}


def _update_auth(connections: Connections, old: Fields, wanted: AuthMount) -> Fields:
    connections.openbao().write(f"sys/auth/{wanted.path}/tune", {"description": wanted.description})
    return {"accessor": old["accessor"]}


def _delete_auth(connections: Connections, wanted: AuthMount) -> None:
    connections.openbao().delete(f"sys/auth/{wanted.path}")


def _read_secrets(connections: Connections, wanted: SecretsMount) -> Found | None:
    mount = connections.openbao().mounts().get(f"{wanted.path}/")
    if mount is None:
        return None
    config: dict[str, Any] = mount.get("config") or {}
    return Found(
        fields={
            "path": wanted.path,
            "type": mount["type"],
            "description": mount["description"],
            "options": mount.get("options") or {},
            "default_lease_ttl": config.get("default_lease_ttl"),
            "max_lease_ttl": config.get("max_lease_ttl"),
        },
        computed={"accessor": mount["accessor"]},
    )


def _tuning(wanted: SecretsMount) -> dict[str, Any]:
    values = wanted.model_dump(include={"default_lease_ttl", "max_lease_ttl"}, exclude_none=True)
    return {name: f"{seconds}s" for name, seconds in values.items()}


def _create_secrets(connections: Connections, wanted: SecretsMount) -> Fields:
    openbao = connections.openbao()
    values = wanted.model_dump(include={"type", "description", "options"}, exclude_none=True)
    openbao.write(f"sys/mounts/{wanted.path}", {**values, "config": _tuning(wanted)})
    return {"accessor": openbao.mounts()[f"{wanted.path}/"]["accessor"]}


def _update_secrets(connections: Connections, old: Fields, wanted: SecretsMount) -> Fields:
    values = wanted.model_dump(include={"description", "options"}, exclude_none=True)
    connections.openbao().write(f"sys/mounts/{wanted.path}/tune", {**values, **_tuning(wanted)})
    return {"accessor": old["accessor"]}


def _delete_secrets(connections: Connections, wanted: SecretsMount) -> None:
    connections.openbao().delete(f"sys/mounts/{wanted.path}")


def _plugin_path(connections: Connections, name: str) -> str | None:
    """Where the catalogue has the plug-in. One that says its own version is found under that version only."""
    catalogue = connections.openbao().read("sys/plugins/catalog") or {}
    for entry in reversed(catalogue.get("detailed") or []):
        if entry["name"] == name and entry["type"] == "secret" and not entry["builtin"]:
            version = entry.get("version")
            return f"sys/plugins/catalog/secret/{name}" + (f"?version={version}" if version else "")
    return None


def _read_plugin(connections: Connections, wanted: Plugin) -> Found | None:
    path = _plugin_path(connections, wanted.name)
    entry = None if path is None else connections.openbao().read(path)
    if not entry:
        return None
    # The catalogue answers with the full path of the command it was given.
    command = str(entry["command"]).rpartition("/")[2]
    return Found(fields={"name": wanted.name, "command": command, "sha256": entry["sha256"]})


def _write_plugin(connections: Connections, wanted: Plugin) -> Fields:
    connections.openbao().register_plugin(wanted.name, command=wanted.command, sha256=wanted.sha256)
    return {}


def _update_plugin(connections: Connections, _old: Fields, wanted: Plugin) -> Fields:
    _write_plugin(connections, wanted)
    # Mounts that run the old binary go on with it until they are told.
    connections.openbao().write("sys/plugins/reload/backend", {"plugin": wanted.name})
    return {}


def _delete_plugin(connections: Connections, wanted: Plugin) -> None:
    path = _plugin_path(connections, wanted.name)
    if path is not None:
        connections.openbao().delete(path)


AUTH_MOUNT = Kind(
    type_name="forgeline:vault:AuthMount",
    inputs=AuthMount,
    key=("path",),
    replace=frozenset({"type"}),
    computed={"accessor": str},
    read=_read_auth,
    create=_create_auth,
    update=_update_auth,
    delete=_delete_auth,
)
PLUGIN = Kind(
    type_name="forgeline:vault:Plugin",
    inputs=Plugin,
    key=("name",),
    read=_read_plugin,
    create=_write_plugin,
    update=_update_plugin,
    delete=_delete_plugin,
)
SECRETS_MOUNT = Kind(
    type_name="forgeline:vault:SecretsMount",
    inputs=SecretsMount,
    key=("path",),
    replace=frozenset({"type"}),
    computed={"accessor": str},
    read=_read_secrets,
    create=_create_secrets,
    update=_update_secrets,
    delete=_delete_secrets,
)
