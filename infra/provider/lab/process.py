"""A described server as a process under the lab's supervisor. Its secrets are filled in where its files are written."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from infra.core.server import Server
from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind

RUNNING = "running"


class Process(Inputs):
    """A server of the lab; its natural key is its name. Removing the resource stops it and keeps its data."""

    name: str
    server: dict[str, Any]
    """The description, as `Server` has it."""
    wait: bool = True
    """Whether the resource is there when the server is of use, or already when it is started."""
    running: bool = True

    @model_validator(mode="after")
    def _describes_itself(self) -> Self:
        if Server.model_validate(self.server).name != self.name:
            raise ValueError("'name' is not the name in the description")
        return self


def _read(connections: Connections, wanted: Process) -> Found | None:
    processes = connections.processes()
    program = processes.supervisor.program(wanted.name)
    given = getattr(wanted, "server", None)
    if given is None:
        return None if program is None else Found(fields={"name": wanted.name, RUNNING: program.running})
    if program is None and not processes.supervisor.digest(wanted.name):
        return None
    running = program is not None and program.running
    differences = processes.difference(Server.model_validate(given)) if running else []
    server = {**given, "differences": differences} if differences else given
    return Found(fields={"name": wanted.name, "server": server, RUNNING: running}, computed={})


def _write(connections: Connections, wanted: Process) -> Fields:
    if wanted.running:
        connections.start(Server.model_validate(wanted.server), wait=wanted.wait)
    else:
        connections.processes().supervisor.stop(wanted.name)
    return {}


def _delete(connections: Connections, wanted: Process) -> None:
    connections.processes().remove(wanted.name)


PROCESS = Kind(
    type_name="forgeline:lab:Process",
    inputs=Process,
    key=("name",),
    write_only=frozenset({"wait"}),
    read=_read,
    create=_write,
    update=lambda connections, _old, wanted: _write(connections, wanted),
    delete=_delete,
)
