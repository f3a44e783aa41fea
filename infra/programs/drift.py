"""Drift: what the servers have against what the state says, by the provider's own reads, without an engine."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor

from infra.core.progress import Progress, Silent
from infra.programs.checkpoint import Checkpoints, Recorded
from infra.programs.plan import Drift
from infra.provider.connection import Connections
from infra.provider.explain import explained
from infra.provider.provider import complete_loosely
from infra.provider.registry import KINDS

READERS = 16
"""Resources read side by side."""

_SILENT = Silent()


def drift(
    checkpoints: Checkpoints,
    connections: Connections,
    stacks: Iterable[str] | None = None,
    *,
    types: Collection[str] | None = None,
    progress: Progress = _SILENT,
) -> list[Drift]:
    """Every difference, in the order of the state; of all stacks, or of those named, or of some types of resource only.

    Raises ServerError where a server can't be asked: no answer is no proof.
    """
    names = checkpoints.names() if stacks is None else list(stacks)
    work = [
        (name, recorded)
        for name in names
        for recorded in checkpoints.resources(name)
        if recorded.type in KINDS and (types is None or recorded.type in types)
    ]
    for name in names:
        progress.start(name, "reading back")
    with ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="drift") as pool:
        found = list(pool.map(lambda item: _of_resource(connections, *item), work))
    differences = [difference for group in found for difference in group]
    for name in names:
        count = sum(difference.stack == name for difference in differences)
        progress.done(name, f"{count} drifted" if count else "as declared")
    return differences


def _of_resource(connections: Connections, stack: str, recorded: Recorded) -> list[Drift]:
    kind = KINDS[recorded.type]
    given = {name: value for name, value in recorded.inputs.items() if name in kind.field_names and value is not None}
    wanted = kind.inputs.model_construct(**complete_loosely(kind, given))
    try:
        found = kind.read(connections, wanted)
    except Exception as error:
        known = explained(error)
        if known is error:
            raise
        raise known from error
    if found is None:
        return [Drift(stack=stack, urn=recorded.urn, field="", expected=recorded.id, actual=None)]
    changes = kind.changes(given, kind.observed(wanted, found))
    return [
        Drift(stack=stack, urn=recorded.urn, field=path, expected=expected, actual=actual)
        for path, (expected, actual) in changes.items()
    ]
