"""Repositories and the blob stores below them."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind, Names


class Repository(Inputs):
    """A repository. Which fields matter is decided by `type`: hosted, proxy or group. Ages are minutes."""

    name: str
    format: str
    type: Literal["hosted", "proxy", "group"]
    online: bool = True
    blob_store: str = "default"
    strict_content_type_validation: bool = True
    write_policy: Literal["allow", "allow_once", "deny"] | None = None
    remote_url: str | None = None
    content_max_age: int | None = None
    metadata_max_age: int | None = None
    members: list[str] | None = None
    """The members of a group, in the order in which they are asked."""
    version_policy: Literal["release", "snapshot", "mixed"] | None = None
    layout_policy: Literal["strict", "permissive"] | None = None
    cleanup_policies: Names | None = None

    @model_validator(mode="after")
    def _fields_of_its_type(self) -> Self:
        if (self.type == "proxy") != (self.remote_url is not None):
            raise ValueError("a proxy, and only a proxy, has a 'remote_url'")
        if (self.type == "group") != (self.members is not None):
            raise ValueError("a group, and only a group, has 'members'")
        if self.write_policy is not None and self.type != "hosted":
            raise ValueError("only a hosted repository has a 'write_policy'")
        return self


class BlobStore(Inputs):
    """A blob store in files; a relative path is below Nexus's data folder."""

    name: str
    path: str


def _definition(wanted: Repository, before: dict[str, Any]) -> dict[str, Any]:
    """The repository as the API takes it; what is not managed stays as it is."""
    storage = {"blobStoreName": wanted.blob_store, "strictContentTypeValidation": wanted.strict_content_type_validation}
    body: dict[str, Any] = {"name": wanted.name, "online": wanted.online, "storage": storage}
    if wanted.type == "hosted":
        body["storage"]["writePolicy"] = (wanted.write_policy or "allow_once").upper()
        body["cleanup"] = {"policyNames": wanted.cleanup_policies or []}
    elif wanted.type == "proxy":
        proxy = before.get("proxy") or {}
        body["proxy"] = {
            "remoteUrl": wanted.remote_url,
            "contentMaxAge": _or(wanted.content_max_age, proxy.get("contentMaxAge", -1)),
            "metadataMaxAge": _or(wanted.metadata_max_age, proxy.get("metadataMaxAge", 1440)),
        }
        body["negativeCache"] = before.get("negativeCache") or {"enabled": True, "timeToLive": 1440}
        body["httpClient"] = before.get("httpClient") or {"blocked": False, "autoBlock": True}
        body["cleanup"] = {"policyNames": wanted.cleanup_policies or []}
    else:
        body["group"] = {"memberNames": wanted.members}
    if wanted.format == "maven2":
        maven = before.get("maven") or {}
        body["maven"] = {
            "versionPolicy": (wanted.version_policy or maven.get("versionPolicy") or "release").upper(),
            "layoutPolicy": (wanted.layout_policy or maven.get("layoutPolicy") or "strict").upper(),
            "contentDisposition": maven.get("contentDisposition") or "INLINE",
        }
    elif wanted.format == "raw":
        body["raw"] = before.get("raw") or {"contentDisposition": "ATTACHMENT"}
    return body


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _lower(value: str | None) -> str | None:
    return value.lower() if value else None


def _read(connections: Connections, wanted: Repository) -> Found | None:
    nexus = connections.nexus()
    format_name, kind = getattr(wanted, "format", None), getattr(wanted, "type", None)
    if format_name is None or kind is None:
        short = next((item for item in nexus.repositories() if item["name"] == wanted.name), None)
        if short is None:
            return None
        format_name, kind = short["format"], short["type"]
    server = nexus.repository(format_name, kind, wanted.name)
    if server is None:
        return None
    storage, proxy = server.get("storage") or {}, server.get("proxy") or {}
    maven, cleanup = server.get("maven") or {}, server.get("cleanup") or {}
    group = server.get("group") or {}
    return Found(
        fields={
            "name": server["name"],
            "format": format_name,
            "type": kind,
            "online": server["online"],
            "blob_store": storage.get("blobStoreName"),
            "strict_content_type_validation": storage.get("strictContentTypeValidation"),
            "write_policy": _lower(storage.get("writePolicy")) if kind == "hosted" else None,
            "remote_url": proxy.get("remoteUrl"),
            "content_max_age": proxy.get("contentMaxAge"),
            "metadata_max_age": proxy.get("metadataMaxAge"),
            "members": group.get("memberNames"),
            "version_policy": _lower(maven.get("versionPolicy")),
            "layout_policy": _lower(maven.get("layoutPolicy")),
            "cleanup_policies": sorted(cleanup.get("policyNames") or []),
        },
        computed={"url": server["url"]},
    )


def _write(connections: Connections, wanted: Repository) -> Fields:
    nexus = connections.nexus()
    before = nexus.repository(wanted.format, wanted.type, wanted.name) or {}
    nexus.put_repository(wanted.format, wanted.type, _definition(wanted, before))
    return {"url": before.get("url") or f"{nexus.url}/repository/{wanted.name}"}


def _delete(connections: Connections, wanted: Repository) -> None:
    connections.nexus().delete_repository(wanted.name)


def _read_store(connections: Connections, wanted: BlobStore) -> Found | None:
    server = connections.nexus().blob_store(wanted.name)
    return None if server is None else Found(fields={"name": wanted.name, "path": server["path"]})


def _write_store(connections: Connections, wanted: BlobStore) -> Fields:
    connections.nexus().put_blob_store({"name": wanted.name, "path": wanted.path})
    return {}


def _delete_store(connections: Connections, wanted: BlobStore) -> None:
    connections.nexus().delete_blob_store(wanted.name)


BLOB_STORE = Kind(
    type_name="forgeline:nexus:BlobStore",
    inputs=BlobStore,
    key=("name",),
    replace=frozenset({"path"}),
    read=_read_store,
    create=_write_store,
    update=lambda connections, _old, wanted: _write_store(connections, wanted),
    delete=_delete_store,
)
REPOSITORY = Kind(
    type_name="forgeline:nexus:Repository",
    inputs=Repository,
    key=("name",),
    replace=frozenset({"format", "type", "blob_store"}),
    computed={"url": str},
    read=_read,
    create=_write,
    update=lambda connections, _old, wanted: _write(connections, wanted),
    delete=_delete,
)
