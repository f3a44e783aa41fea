"""What a kind's thing is to be, and how what is there differs from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.provider.connection import Connections
from infra.provider.kind import Kind
from infra.provider.provider import complete


def wanted(kind: Kind[Any], inputs: Mapping[str, Any]) -> Any:
    """The checked inputs, complete with their defaults."""
    fields, failures = complete(kind, dict(inputs))
    assert not failures, [failure.reason for failure in failures]
    return kind.inputs.model_validate(fields)


def changes(kind: Kind[Any], connections: Connections, described: Any) -> dict[str, Any]:
    """The fields that differ. It must be there."""
    found = kind.read(connections, described)
    assert found is not None, "it is not there"
    return kind.changes(described.model_dump(mode="json"), kind.observed(described, found))
