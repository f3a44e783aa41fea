"""supervisord's XML-RPC over its unix socket: programs and their states, starting and stopping."""

from __future__ import annotations

import http.client
import socket
import threading
import xmlrpc.client
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from infra.clients.request import Observer
from infra.clients.supervisor import daemon
from infra.clients.supervisor.configuration import described, program_configuration
from infra.clients.supervisor.place import Place, write_private
from infra.core.error import ServerError
from infra.core.server import Server

_SHUTTING_DOWN = 6
_BAD_NAME = 10
_ALREADY_STARTED = 60
_NOT_RUNNING = 70
_ALREADY_ADDED = 90
"""Fault codes of supervisor.xmlrpc.Faults."""


LINE_LIMIT = 400
"""Characters of a log's line that are shown."""


class State(StrEnum):
    """States of a program, as supervisord calls them."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    FATAL = "FATAL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program as supervisord sees it."""

    name: str
    state: State
    pid: int
    """0 when it does not run."""
    started: datetime | None
    exit_status: int
    reason: str
    """What supervisord says of a failed start."""
    log: Path

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self.state in {State.RUNNING, State.STARTING} and self.pid > 0


class Supervisor:
    """The supervisor of one state folder. Safe to use from several threads."""

    def __init__(self, state: Path, *, observe: Observer | None = None) -> None:
        self.place = Place(state)
        self._observe = observe
        self._lock = threading.Lock()

    # The daemon

    def running(self) -> bool:
        """Whether a supervisord answers for this state folder."""
        try:
            self._ask("getState")
        except NotRunningError:
            return False
        return True

    def ensure_running(self) -> bool:
        """Start supervisord if none runs here, and with it all programs. Returns whether it was started now.

        What an earlier supervisord left behind when it was killed is ended first.
        """
        if self.running():
            return False
        with daemon.starting(self.place):
            if self.running():
                return False
            self._clear(daemon.holder(self.place))
            daemon.start(self.place, answers=self.running)
        return True

    def shutdown(self) -> None:
        """Stop every program and supervisord, and whatever still runs of them. Nothing happens if none runs."""
        try:
            pid = int(self._call("getPID"))
            self._call("shutdown")
        except NotRunningError:
            pid = daemon.holder(self.place)
        self._clear(pid)

    def present(self) -> bool:
        """Whether anything runs here: a supervisord, one that is shutting down, or what a killed one left behind."""
        return self.running() or bool(daemon.holder(self.place) or daemon.processes(self.place))

    def _clear(self, pid: int) -> None:
        daemon.wait_end(self.place, pid, timeout=daemon.stop_time(self.place) + 10)
        daemon.end_leftovers(self.place)

    # Programs

    def programs(self) -> dict[str, Program]:
        """All programs by name; none if no supervisord runs."""
        try:
            return {info["name"]: _program(info) for info in self._ask("getAllProcessInfo")}
        except NotRunningError:
            return {}

    def program(self, name: str) -> Program | None:
        """The program `name`, or None if supervisord does not know it or does not run."""
        try:
            return _program(self._ask("getProcessInfo", name))
        except NotRunningError:
            return None
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _BAD_NAME:
                return None
            raise self._explain(fault, name) from None

    def digest(self, name: str) -> str:
        """The digest of the description that the program was made from; nothing if there is none."""
        try:
            return described((self.place.programs / f"{name}.conf").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ""

    def put(self, server: Server) -> None:
        """Make the program as described, and (re)start it. Its files and folders must be there."""
        self.remove(server.name)
        write_private(self.place.programs / f"{server.name}.conf", program_configuration(self.place, server))
        self._do("reloadConfig", server.name)
        self._do("addProcessGroup", server.name, ignore=_ALREADY_ADDED)

    def remove(self, name: str) -> None:
        """Stop the program and forget it. Nothing happens if there is none."""
        (self.place.programs / f"{name}.conf").unlink(missing_ok=True)
        if self.program(name) is None:
            return
        self.stop(name)
        self._do("reloadConfig", name)
        self._do("removeProcessGroup", name, ignore=_BAD_NAME)

    def start(self, name: str) -> None:
        """Start the program if it does not run; does not wait for its start seconds."""
        self._do("startProcess", name, False, ignore=_ALREADY_STARTED)

    def stop(self, name: str) -> None:
        """Stop the program and wait until it ended."""
        self._do("stopProcess", name, ignore=_NOT_RUNNING)

    def restart(self, name: str) -> None:
        """Stop and start the program."""
        self.stop(name)
        self.start(name)

    def tail(self, name: str, lines: int = 20) -> str:
        """The last lines of the program's log."""
        program = self.program(name)
        return tail(program.log, lines) if program else ""

    # Inside

    def _do(self, method: str, name: str, *arguments: Any, ignore: int = 0) -> None:
        """A call that changes something."""
        try:
            self._call(method, *([] if method == "reloadConfig" else [name]), *arguments)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != ignore:
                raise self._explain(fault, name) from None

    def _ask(self, method: str, *arguments: Any) -> Any:
        return self._call(method, *arguments)

    def _call(self, method: str, *arguments: Any) -> Any:
        with self._lock:
            proxy = xmlrpc.client.ServerProxy("http://supervisor", transport=_UnixTransport(self.place.socket))
            try:
                with proxy:
                    answer = getattr(proxy.supervisor, method)(*arguments)
            except (OSError, http.client.HTTPException) as error:
                raise NotRunningError(
                    f"the supervisor does not answer ({type(error).__name__})",
                    where=str(self.place.socket),
                    fix="`forgeline up` starts it",
                ) from None
            except xmlrpc.client.Fault as fault:
                if fault.faultCode != _SHUTTING_DOWN:
                    raise
                raise NotRunningError(
                    "the supervisor is shutting down",
                    where=str(self.place.socket),
                    fix="`forgeline up` waits for its end, and starts it",
                ) from None
        if self._observe is not None:
            self._observe("GET" if method.startswith("get") else "POST", f"/supervisor.{method}", 200)
        return answer

    def _explain(self, fault: xmlrpc.client.Fault, name: str) -> ServerError:
        return ServerError(
            f"the supervisor refused: {fault.faultString}",
            where=name,
            fix=f"see {self.place.log}",
            detail=self.tail(name),
        )


class NotRunningError(ServerError):
    """No supervisord runs for this state folder."""


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file, and nothing if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - lines * LINE_LIMIT))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(line[:LINE_LIMIT] for line in text.splitlines()[-lines:])


def _program(info: dict[str, Any]) -> Program:
    start = int(info["start"])
    return Program(
        name=str(info["name"]),
        state=State(info["statename"]),
        pid=int(info["pid"]),
        started=datetime.fromtimestamp(start, UTC) if start else None,
        exit_status=int(info["exitstatus"]),
        reason=str(info["spawnerr"]),
        log=Path(str(info["stdout_logfile"])),
    )


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("supervisor", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        # Where the base class looks for what it has to close.
        self._connection = (host, connection)
        return connection
