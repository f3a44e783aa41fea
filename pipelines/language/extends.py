"""`extends`: a job takes over other jobs' keys, mappings merged deeply, arrays replaced."""

from __future__ import annotations

from typing import Any

from pipelines.language.error import ConfigError
from pipelines.language.merge import deep_merge

NESTING_LIMIT = 10
"""Jobs above one that extends another: eleven levels of inheritance (https://docs.gitlab.com/ci/yaml/#extends)."""
MERGE_LIMIT = 1000
"""Bases a job may have altogether."""


def extend(config: dict[str, Any]) -> dict[str, Any]:
    """`config` with every `extends` applied. `extends` stays in the jobs, as GitLab's merged YAML shows it.

    Raises ConfigError for an unknown or circular base and for one too deep.
    """
    return {
        name: _Chain(config).value(name, ()) if isinstance(value, dict) and "extends" in value else value
        for name, value in config.items()
    }


class _Chain:
    """One job's bases. What a job with many bases has to merge is bounded, since bases of bases multiply."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._merges = 0

    def value(self, name: str, trail: tuple[str, ...]) -> dict[str, Any]:
        if name in trail:
            raise ConfigError([f"{name}: circular dependency detected in `extends`"])
        value = self._config[name]
        if "extends" not in value:
            return dict(value)
        bases = _bases(name, value["extends"])
        self._check(name, bases)
        self._merges += len(bases)
        if len(trail) > NESTING_LIMIT or self._merges > MERGE_LIMIT:
            raise ConfigError([f"{name}: nesting too deep in `extends`"])
        merged: dict[str, Any] = {}
        for base in bases:
            merged = deep_merge(merged, self.value(base, (*trail, name)))
        return deep_merge(merged, value)

    def _check(self, name: str, bases: list[str]) -> None:
        unknown = [base for base in bases if base not in self._config]
        if unknown:
            raise ConfigError([f"{name}: unknown keys in `extends` ({', '.join(unknown)})"])
        invalid = [base for base in bases if not isinstance(self._config[base], dict)]
        if invalid:
            raise ConfigError([f"{name}: invalid base hashes in `extends` ({', '.join(invalid)})"])


def _bases(name: str, extends: Any) -> list[str]:
    if isinstance(extends, str):
        return [extends]
    if isinstance(extends, list) and all(isinstance(base, str) for base in extends):
        return extends
    raise ConfigError([f"jobs:{name} extends should be an array of strings or a string"])
