"""Configs of a swarm: files for services, with nothing secret in them."""

from __future__ import annotations

import base64
from typing import Any

from pydantic import Field

from infra.provider.connection import Connections
from infra.provider.docker.swarm import Entries, Name, given_labels
from infra.provider.kind import Fields, Found, Inputs, Kind


class Config(Inputs):
    """A config of the swarm. Other content is given to the services that use it, one after the other."""

    name: Name
    content: str
    """Nothing secret: whoever may ask the swarm's managers reads it."""
    labels: dict[str, str] = Field(default_factory=dict)


def _entries(connections: Connections) -> Entries:
    return Entries(connections.engine(), "config")


def _content(entry: Any) -> bytes:
    return base64.b64decode(entry.attrs["Spec"].get("Data") or "")


def _read(connections: Connections, wanted: Config) -> Found | None:
    entries = _entries(connections)
    entry = entries.find(wanted.name)
    if entry is None:
        return None
    content = None if entries.half_replaced(wanted.name) else _content(entry).decode(errors="replace")
    return Found(
        fields={"name": entry.name, "content": content, "labels": given_labels(entry)}, computed={"config_id": entry.id}
    )


def _bring_about(connections: Connections, wanted: Config) -> Fields:
    content = wanted.content.encode()
    identity = _entries(connections).bring_about(
        wanted.name, content, wanted.labels, same=lambda entry: _content(entry) == content
    )
    return {"config_id": identity}


def _delete(connections: Connections, wanted: Config) -> None:
    _entries(connections).delete(wanted.name)


CONFIG = Kind(
    type_name="forgeline:docker:Config",
    inputs=Config,
    key=("name",),
    computed={"config_id": str},
    read=_read,
    create=_bring_about,
    update=lambda connections, _old, wanted: _bring_about(connections, wanted),
    delete=_delete,
)
