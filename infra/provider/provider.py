"""The native Pulumi provider: the engine's requests, carried out by the kinds' declarations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pulumi.provider.experimental import provider as rpc
from pulumi.provider.experimental.property_value import PropertyValue
from pydantic import ValidationError

from infra.provider.connection import Connections
from infra.provider.kind import Found, Inputs, Kind, bare
from infra.provider.property import UNKNOWN, fields_of, properties_of
from infra.provider.registry import KINDS
from infra.provider.schema import package_schema

THREADS = 128
"""Resources that may be worked on side by side, over all stacks; most of them wait for a server."""

Result = TypeVar("Result")
AnyKind = Kind[Any]


class ForgelineProvider(rpc.Provider):
    """Serves every kind in the registry. One instance may serve several stacks at once."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="provider")

    async def get_schema(self, request: rpc.GetSchemaRequest) -> rpc.GetSchemaResponse:  # noqa: ARG002 - the SDK's signature
        """The package's schema, derived from the kinds."""
        return rpc.GetSchemaResponse(schema=json.dumps(package_schema()))

    async def check_config(self, request: rpc.CheckRequest) -> rpc.CheckResponse:
        """The provider has no configuration of its own: the profile says it all."""
        return rpc.CheckResponse(inputs=request.new_inputs, failures=[])

    async def diff_config(self, request: rpc.DiffRequest) -> rpc.DiffResponse:  # noqa: ARG002 - the SDK's signature
        """Never a difference."""
        return rpc.DiffResponse(changes=False)

    async def configure(self, request: rpc.ConfigureRequest) -> rpc.ConfigureResponse:  # noqa: ARG002 - the SDK's signature
        """What the provider understands."""
        return rpc.ConfigureResponse(
            accept_secrets=True, supports_preview=True, accept_resources=False, accept_outputs=False
        )

    async def cancel(self) -> None:
        """Work in progress ends by itself; what was not begun is not begun."""

    async def check(self, request: rpc.CheckRequest) -> rpc.CheckResponse:
        """Inputs validated and completed with their defaults; a failure names its property."""
        kind = _kind(request.type)
        fields = fields_of(request.new_inputs)
        completed, failures = complete(kind, fields)
        unknown = {name: UNKNOWN for name, value in fields.items() if value is UNKNOWN}
        return rpc.CheckResponse(inputs=properties_of({**completed, **unknown}), failures=failures)

    async def diff(self, request: rpc.DiffRequest) -> rpc.DiffResponse:
        """Each field that differs, and whether it forces replacement. Asks no server."""
        kind = _kind(request.type)
        changes = kind.changes(fields_of(request.old_state), fields_of(request.new_inputs))
        changes = {path: change for path, change in changes.items() if bare(path) not in request.ignore_changes}
        replaces = sorted({bare(path) for path in changes if kind.forces_replacement(bare(path))})
        return rpc.DiffResponse(
            changes=bool(changes),
            replaces=replaces,
            diffs=sorted({bare(path) for path in changes}),
            detailed_diff={
                path: rpc.PropertyDiff(_diff_kind(old, new, replace=bare(path) in replaces), input_diff=True)
                for path, (old, new) in changes.items()
            },
            delete_before_replace=not any(name in replaces for name in kind.key),
        )

    async def create(self, request: rpc.CreateRequest) -> rpc.CreateResponse:
        """Makes the resource, or adopts and adjusts the one that is there under the same natural key."""
        kind = _kind(request.type)
        fields = fields_of(request.properties)
        if request.preview:
            return rpc.CreateResponse(properties=properties_of({**fields, **dict.fromkeys(kind.computed, UNKNOWN)}))
        wanted = kind.inputs.model_validate(fields)
        computed = await self._run(lambda: bring_about(kind, self._connections, wanted))
        return rpc.CreateResponse(resource_id=kind.identity(fields), properties=_state(kind, wanted, computed))

    async def read(self, request: rpc.ReadRequest) -> rpc.ReadResponse:
        """What the server has, for every managed field; for all of them when the resource is being imported."""
        kind = _kind(request.type)
        importing = not request.inputs
        if importing:
            wanted = kind.from_identity(request.resource_id)
        else:
            # Inputs that a refresh put into the state may hold what validation refuses: the server is not bound by it.
            wanted = kind.inputs.model_construct(**complete_loosely(kind, fields_of(request.inputs)))
        found = await self._run(lambda: kind.read(self._connections, wanted))
        if found is None:
            return rpc.ReadResponse()
        observed = kind.observed(wanted, found, everything=importing)
        return rpc.ReadResponse(
            resource_id=request.resource_id,
            properties=properties_of({**observed, **found.computed}),
            inputs=properties_of(observed),
        )

    async def update(self, request: rpc.UpdateRequest) -> rpc.UpdateResponse:
        """Changes the resource in place."""
        kind = _kind(request.type)
        fields = fields_of(request.news)
        if request.preview:
            return rpc.UpdateResponse(properties=properties_of({**fields_of(request.olds), **fields}))
        wanted = kind.inputs.model_validate(fields)
        old = fields_of(request.olds)
        computed = await self._run(lambda: kind.update(self._connections, old, wanted))
        return rpc.UpdateResponse(properties=_state(kind, wanted, computed))

    async def delete(self, request: rpc.DeleteRequest) -> None:
        """Removes the resource; what is gone already is fine."""
        kind = _kind(request.type)
        fields = {name: value for name, value in fields_of(request.properties).items() if name in kind.field_names}
        wanted = kind.inputs.model_construct(**complete_loosely(kind, fields))
        await self._run(lambda: kind.delete(self._connections, wanted))

    async def _run(self, work: Callable[[], Result]) -> Result:
        """The clients block, so their work is done in threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _kind(type_chain: str) -> AnyKind:
    """The kind of a resource's type, which a URN gives with its parents' types before it."""
    return KINDS[type_chain.rpartition("$")[2]]


def bring_about(kind: AnyKind, connections: Connections, wanted: Inputs) -> Mapping[str, Any]:
    """Makes the server have what is wanted, with as few writing requests as that takes; answers the computed fields."""
    found = kind.read(connections, wanted)
    if found is None:
        return kind.create(connections, wanted)
    observed = kind.observed(wanted, found)
    if not kind.changes(observed, _given(wanted)):
        return found.computed
    return kind.update(connections, {**found.fields, **found.computed}, wanted)


def complete(kind: AnyKind, fields: Mapping[str, Any]) -> tuple[dict[str, Any], list[rpc.CheckFailure]]:
    """The known fields with defaults, as JSON; and a failure for each that is wrong. Unknown fields are passed over."""
    unknown = {name for name, value in fields.items() if value is UNKNOWN}
    known = {name: value for name, value in fields.items() if name not in unknown}
    try:
        return _given(kind.inputs.model_validate(known)), []
    except ValidationError as error:
        failures = [
            rpc.CheckFailure(".".join(map(str, item["loc"])), item["msg"])
            for item in error.errors(include_url=False, include_input=False)
            if not item["loc"] or item["loc"][0] not in unknown
        ]
    if failures:
        return known, failures
    return {**complete_loosely(kind, known), **known}, []


def complete_loosely(kind: AnyKind, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, with the defaults of those that are left out, without validation."""
    defaults = {
        name: info.get_default(call_default_factory=True)
        for name, info in kind.inputs.model_fields.items()
        if not info.is_required()
    }
    return {**defaults, **fields}


def _given(wanted: Inputs) -> dict[str, Any]:
    return {name: value for name, value in wanted.model_dump(mode="json").items() if value is not None}


def _state(kind: AnyKind, wanted: Inputs, computed: Mapping[str, Any]) -> dict[str, PropertyValue]:
    missing = set(kind.computed) - set(computed)
    if missing:
        raise AssertionError(f"{kind.type_name} did not answer {sorted(missing)}")
    return properties_of({**_given(wanted), **computed})


def _diff_kind(old: Any, new: Any, *, replace: bool) -> rpc.PropertyDiffKind:
    if old is None:
        return rpc.PropertyDiffKind.ADD_REPLACE if replace else rpc.PropertyDiffKind.ADD
    if new is None:
        return rpc.PropertyDiffKind.DELETE_REPLACE if replace else rpc.PropertyDiffKind.DELETE
    return rpc.PropertyDiffKind.UPDATE_REPLACE if replace else rpc.PropertyDiffKind.UPDATE


__all__ = ["ForgelineProvider", "Found", "bring_about", "complete"]
