"""`parallel`: one job written, several jobs run; by number or by a matrix of variables."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod

from pipelines.language.assignment import is_scalar
from pipelines.language.document import text_of
from pipelines.language.entry import Entry

LIMIT = 200
"""Jobs that one may become."""

Combination = tuple[tuple[str, str], ...]
"""Names and values of one job of a matrix, in the order of the configuration."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One of the jobs that a written job becomes."""

    name: str
    index: int | None = None
    total: int | None = None
    matrix: Combination = ()


def instances(name: str, entry: Entry) -> tuple[Instance, ...]:
    """The jobs that `name` becomes with this `parallel` (one, of its own name, without it)."""
    value = entry.value
    if value is None:
        return (Instance(name=name),)
    if isinstance(value, dict):
        if not entry.is_mapping(("matrix",)) or not entry.get("matrix").given:
            entry.problem("config missing required keys: matrix")
            return (Instance(name=name),)
        combinations = read_matrix(entry.get("matrix"))
        return tuple(
            Instance(
                name=f"{name}: [{', '.join(value for _, value in combination)}]",
                index=index,
                total=len(combinations),
                matrix=combination,
            )
            for index, combination in enumerate(combinations, 1)
        ) or (Instance(name=name),)
    if not isinstance(value, int) or isinstance(value, bool):
        entry.problem("should be an integer or a hash")
        return (Instance(name=name),)
    if not 1 <= value <= LIMIT:
        entry.problem(
            f"config must be {'greater than or equal to 1' if value < 1 else f'less than or equal to {LIMIT}'}"
        )
        return (Instance(name=name),)
    return tuple(Instance(name=f"{name} {index}/{value}", index=index, total=value) for index in range(1, value + 1))


def read_matrix(entry: Entry) -> tuple[Combination, ...]:
    """All combinations of an array of mappings of names to values."""
    if not isinstance(entry.value, list) or not all(isinstance(item, dict) for item in entry.value):
        entry.problem("config should be an array of hashes")
        return ()
    groups: list[list[tuple[str, list[str]]]] = []
    for item in entry.value:
        axes = []
        for key, value in item.items():
            values = value if isinstance(value, list) else [value]
            if not values or not all(is_scalar(one) for one in values):
                entry.problem("config should be a hash of key value pairs, value can be an array")
                return ()
            axes.append((key, [text_of(one) for one in values]))
        if not axes:
            entry.problem("config requires at least 1 item")
            return ()
        groups.append(axes)
    if sum(prod(len(values) for _, values in axes) for axes in groups) > LIMIT:
        entry.problem(f"config generates too many jobs (maximum is {LIMIT})")
        return ()
    return tuple(
        tuple(zip((key for key, _ in axes), values, strict=True))
        for axes in groups
        for values in product(*(values for _, values in axes))
    )
