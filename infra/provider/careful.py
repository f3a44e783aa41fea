"""The provider for servers that others run: it changes what it made and what was adopted, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pulumi.provider.experimental import provider as rpc

from infra.core.error import BadInputError
from infra.provider.connection import Connections
from infra.provider.gitlab.group import GROUP
from infra.provider.kind import Kind
from infra.provider.made import Made
from infra.provider.property import fields_of
from infra.provider.provider import ForgelineProvider
from infra.provider.registry import KINDS
from infra.provider.vault.mount import AUTH_MOUNT, SECRETS_MOUNT

SHOWN: Final = 5
"""Things in the way that an error names."""


class CarefulProvider(ForgelineProvider):
    """Refuses to make what is there already; removes only what it made, and only when nothing else is in it."""

    def __init__(self, connections: Connections, made: Made) -> None:
        super().__init__(connections)
        self._made = made

    async def create(self, request: rpc.CreateRequest) -> rpc.CreateResponse:
        """Makes the resource. Raises BadInputError where the server has one that was neither made here nor adopted."""
        if not request.preview:
            kind = _kind(request.urn)
            fields = fields_of(request.properties)
            identity = kind.identity(fields)
            if not self._made.covers(kind.type_name, identity):
                wanted = kind.inputs.model_validate(fields)
                if await self._run(lambda: kind.read(self._connections, wanted)) is not None:
                    raise refused([(kind.type_name, identity)])
            self._made.add(kind.type_name, identity)
        return await super().create(request)

    async def delete(self, request: rpc.DeleteRequest) -> None:
        """Removes the resource if it was made here; what was adopted stays. Raises BadInputError if others use it."""
        kind = _kind(request.urn)
        if not self._made.holds(kind.type_name, request.resource_id):
            return
        look = CONTENT.get(kind.type_name)
        if look is not None:
            inside = await self._run(lambda: look(self._connections, fields_of(request.properties)))
            if inside:
                more = f" and {len(inside) - SHOWN} more" if len(inside) > SHOWN else ""
                raise BadInputError(
                    f"holds what Forgeline did not make: {', '.join(inside[:SHOWN])}{more}",
                    where=f"{kind.noun} {request.resource_id}",
                    fix="move or remove that yourself, then run this again",
                )
        await super().delete(request)
        self._made.remove(kind.type_name, request.resource_id)


def refused(there: list[tuple[str, str]]) -> BadInputError:
    """The error for things (type and id) that are there already, all of them named."""
    names = [f"{KINDS[type_name].noun} {identity}" for type_name, identity in there]
    return BadInputError(
        f"{names[0]} is there already, and Forgeline did not make it"
        if len(names) == 1
        else f"{len(names)} things are there already, and Forgeline did not make them",
        detail="" if len(names) == 1 else "\n".join(names),
        fix="`forgeline adopt --dry-run` compares, `forgeline adopt` takes them in; or rename them on the server",
    )


def _kind(urn: str) -> Kind[Any]:
    return KINDS[urn.split("::")[2].rpartition("$")[2]]


def _in_group(connections: Connections, fields: Mapping[str, Any]) -> list[str]:
    group = connections.gitlab().find_group(fields["path"])
    if group is None:
        return []
    projects = group.projects.list(iterator=True, per_page=100, with_shared=False)
    found = [str(project.path_with_namespace) for project in projects if not _going(project)]
    return found + [str(one.full_path) for one in group.subgroups.list(iterator=True) if not _going(one)]


def _going(thing: Any) -> bool:
    """Whether GitLab keeps it only until its delay for removals is over."""
    return bool(getattr(thing, "marked_for_deletion_on", None) or getattr(thing, "marked_for_deletion_at", None))


_LISTED: Final = {"kv": "metadata", "transit": "keys"}
"""What an engine lists of what it holds, by its type; an engine that Forgeline brings along lists roles."""


def _in_engine(connections: Connections, fields: Mapping[str, Any]) -> list[str]:
    path = f"{fields['path']}/{_LISTED.get(fields['type'], 'roles')}"
    return [f"{fields['path']}/{key}" for key in connections.openbao().keys(path)]


def _in_auth(connections: Connections, fields: Mapping[str, Any]) -> list[str]:
    path = f"auth/{fields['path']}/role"
    return [f"{path}/{key}" for key in connections.openbao().keys(path)]


CONTENT: Final[Mapping[str, Callable[[Connections, Mapping[str, Any]], list[str]]]] = {
    GROUP.type_name: _in_group,
    SECRETS_MOUNT.type_name: _in_engine,
    AUTH_MOUNT.type_name: _in_auth,
}
"""What would be lost with a thing: Forgeline's own parts of it are removed before it, so what is left is others'."""
