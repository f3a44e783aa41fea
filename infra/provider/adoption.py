"""The provider of `forgeline adopt`: it reads where the ordinary one writes, and says how what is there differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from pulumi.provider.experimental import provider as rpc

from infra.core.candidate import Candidate, Verdict
from infra.core.error import StackError
from infra.provider.connection import Connections
from infra.provider.property import UNKNOWN, fields_of, properties_of
from infra.provider.provider import ForgelineProvider, complete
from infra.provider.registry import KINDS


class AdoptingProvider(ForgelineProvider):
    """In a preview, a resource that would be made is looked for instead; an import then reads its managed fields.

    It never writes: the engine can do nothing with it but previews and imports.
    """

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self.candidates: dict[str, Candidate] = {}
        """What the previews found, by URN."""
        self._wanted: dict[str, Mapping[str, Any]] = {}

    async def create(self, request: rpc.CreateRequest) -> rpc.CreateResponse:
        """What the server has, so that what depends on it is compared too; nothing is made."""
        if not request.preview:
            _refuse(request.urn)
        kind = KINDS[request.type.rpartition("$")[2]]
        fields = fields_of(request.properties)
        if UNKNOWN in fields.values():
            # It needs what only another resource can tell, which is missing.
            self._note(request.urn, "", Verdict.MISSING)
            return await super().create(request)
        given, _ = complete(kind, fields)
        wanted = kind.inputs.model_validate(fields)
        found = await self._run(lambda: kind.read(self._connections, wanted))
        identity = kind.identity(given)
        if found is None:
            self._note(request.urn, identity, Verdict.MISSING)
            return await super().create(request)
        changes = kind.changes(kind.observed(wanted, found), given)
        self._wanted[request.urn] = given
        self._note(request.urn, identity, Verdict.DIFFERENT if changes else Verdict.EQUAL, *changes)
        return rpc.CreateResponse(properties=properties_of({**given, **found.computed}))

    async def read(self, request: rpc.ReadRequest) -> rpc.ReadResponse:
        """What the server has of the fields that are declared: what is left open in the program stays open."""
        wanted = self._wanted.get(request.urn)
        if wanted is not None and not request.inputs:
            inputs = properties_of(wanted)
            request = rpc.ReadRequest(request.urn, request.resource_id, inputs, inputs)
        return await super().read(request)

    async def update(self, request: rpc.UpdateRequest) -> rpc.UpdateResponse:
        """Only previews get here."""
        if not request.preview:
            _refuse(request.urn)
        return await super().update(request)

    async def delete(self, request: rpc.DeleteRequest) -> None:
        """Nothing is removed."""
        _refuse(request.urn)

    def _note(self, urn: str, identity: str, verdict: Verdict, *fields: str) -> None:
        self.candidates[urn] = Candidate(urn=urn, id=identity, verdict=verdict, fields=fields)


def _refuse(urn: str) -> NoReturn:
    raise StackError("adopting changes nothing on a server", where=urn)
