"""Takes what is already on the servers into a stack's state: the engine's own import, of what a preview found."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi.automation.events import EngineEvent, OpType

from infra.programs.engine import Engine
from infra.programs.plan import Adoption, urn_name, urn_type
from infra.programs.stack import Stack
from infra.provider.adoption import AdoptingProvider

ROOT_TYPE = "pulumi:pulumi:Stack"


@dataclass
class _Declared:
    """The parents of what a preview would make, components too. Called from the engine's event thread."""

    parents: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: EngineEvent) -> None:
        """One event."""
        step = event.resource_pre_event.metadata if event.resource_pre_event is not None else None
        if step is not None and step.op is OpType.CREATE and step.new is not None:
            with self._lock:
                self.parents[step.urn] = step.new.parent


def plan_adoption(engine: Engine, provider: AdoptingProvider, stack: Stack) -> Adoption:
    """Looks for everything that the stack declares and its state does not know. Writes nothing but an empty state."""
    declared = _Declared()
    engine.preview(stack, tell=declared)
    candidates = tuple(provider.candidates[urn] for urn in sorted(declared.parents) if urn in provider.candidates)
    return Adoption(stack=stack.name, candidates=candidates, parents=declared.parents)


def adopt(engine: Engine, adoption: Adoption, *, different: bool) -> None:
    """Imports what is to be taken, with the components that it belongs to. Asks the servers only to read."""
    taken = adoption.taken(different=different)
    if taken:
        engine.import_file(adoption.stack, import_document([(one.urn, one.id) for one in taken], adoption.parents))


def import_document(taken: Collection[tuple[str, str]], parents: Mapping[str, str]) -> dict[str, Any]:
    """The resources (URN and id) and the components above them, as `pulumi import --file` reads them.

    In it, URNs are the names that parents are referred to by: a component is often called as another one.
    See https://www.pulumi.com/docs/iac/adopting-pulumi/import/#bulk-import-operations.
    """
    components: dict[str, None] = {}
    for urn, _ in taken:
        above = []
        while (urn := parents.get(urn, "")) and urn in parents and urn_type(urn) != ROOT_TYPE:
            above.append(urn)
        components.update(dict.fromkeys(reversed(above)))
    resources = [_entry(urn, parents, component=True) for urn in components]
    resources += [{**_entry(urn, parents), "id": identity} for urn, identity in taken]
    known = {entry["parent"] for entry in resources if "parent" in entry} - set(components)
    return {"nameTable": {urn: urn for urn in sorted(known)}, "resources": resources}


def _entry(urn: str, parents: Mapping[str, str], *, component: bool = False) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": urn_type(urn), "name": urn, "logicalName": urn_name(urn)}
    parent = parents[urn]
    if parent and urn_type(parent) != ROOT_TYPE:
        entry["parent"] = parent
    return {**entry, "component": True} if component else entry
