"""Deep merge, as `include` and `extends` do it: mappings are merged, everything else (arrays too) is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def deep_merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """A new mapping: `base` with `over` laid on it. Neither is changed."""
    merged = dict(base)
    for key, value in over.items():
        before = merged.get(key)
        merged[key] = deep_merge(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged
