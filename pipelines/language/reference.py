"""`!reference [job, key, …]`: a value taken from elsewhere in the merged configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.language.document import DEPTH_LIMIT, NODE_LIMIT, TOO_BIG, Reference
from pipelines.language.error import ConfigError

NESTING_LIMIT = 10
"""References inside what references give (https://docs.gitlab.com/ci/yaml/yaml_optimization/#reference-tags)."""


def resolve(config: dict[str, Any]) -> dict[str, Any]:
    """`config` with every reference replaced. Raises ConfigError for one to nowhere, in a circle or nested too deep."""
    resolved = _Resolver(config).value(config, ())
    assert isinstance(resolved, dict)  # noqa: S101 - a mapping resolves to a mapping; this is for the type checker
    return resolved


class _Resolver:
    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._nodes = 0

    def value(self, value: Any, trail: tuple[Reference, ...], depth: int = 1) -> Any:
        self._nodes += 1
        if self._nodes > NODE_LIMIT or depth > DEPTH_LIMIT:
            raise ConfigError([TOO_BIG])
        if isinstance(value, Reference):
            return self._reference(value, trail, depth)
        if isinstance(value, dict):
            return {key: self.value(item, trail, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, trail, depth + 1) for item in value]
        return value

    def _reference(self, reference: Reference, trail: tuple[Reference, ...], depth: int) -> Any:
        if reference in trail:
            raise ConfigError([f"{reference} is part of a circular chain"])
        if len(trail) >= NESTING_LIMIT:
            raise ConfigError([f"{reference} is nested too deep (maximum is {NESTING_LIMIT} levels)"])
        found: Any = self._config
        for part in reference.path:
            if isinstance(found, Reference):
                found = self._reference(found, (*trail, reference), depth)
            found = found.get(part) if isinstance(found, dict) else None
            if found is None:
                raise ConfigError([f"{reference} could not be found"])
        return self.value(found, (*trail, reference), depth)
