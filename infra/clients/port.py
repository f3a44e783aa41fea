"""Whether a TCP port is free, and who holds it if not."""

from __future__ import annotations

import contextlib
import errno
import socket

import psutil

from infra.core.error import ServerError
from infra.core.server import Listener


def is_free(listener: Listener) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as trial:
        # As servers do: a connection that has just ended does not keep the port.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((listener.address, listener.number))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise ServerError(
                f"can't listen on {listener.address}:{listener.number}: {error.strerror}",
                where=listener.name,
                fix="choose another address or port in the profile",
            ) from error
    return True


def holder(number: int) -> str:
    """The process that listens on a port, as "name (process 123)"; nothing where the system does not tell."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (number,) and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def require_free(server: str, listener: Listener) -> None:
    """Raises ServerError that names the holder if the port is in use."""
    if is_free(listener):
        return
    by = holder(listener.number)
    raise ServerError(
        f"port {listener.number} ({listener.name}) is in use" + (f" by {by}" if by else ""),
        where=server,
        fix="end that process, or choose another port in the profile (FORGELINE_PROFILE)",
    )
