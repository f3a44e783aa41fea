"""Files fetched over HTTP with a checksum, from places that may not answer."""

from __future__ import annotations

import hashlib
import socket
import threading
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from infra.core.error import ToolError
from infra.toolchain.command import Commands

PATIENCE = 5.0
"""Seconds that a source may take to resolve, to connect, and between two pieces of its answer."""

_PIECE = 1 << 20


def download(url: str, *, sha256: str, to: Path, commands: Commands) -> None:
    """Fetch `url` into `to`, whose content has the given checksum afterwards.

    Raises ToolError if the source doesn't answer within `PATIENCE`, answers with an error or with other content.
    """
    _resolve(url)
    content = hashlib.sha256()
    try:
        with (
            httpx.Client(timeout=PATIENCE, follow_redirects=True) as client,
            client.stream("GET", url) as response,
            to.open("wb") as file,
        ):
            response.raise_for_status()
            for piece in response.iter_bytes(_PIECE):
                commands.check()
                content.update(piece)
                file.write(piece)
    except httpx.HTTPStatusError as error:
        raise ToolError(f"answers {error.response.status_code}", where=url) from error
    except httpx.TimeoutException as error:
        raise ToolError(f"does not answer within {PATIENCE:.0f} s", where=url) from error
    except httpx.HTTPError as error:
        raise ToolError(f"can't be reached: {error}", where=url) from error
    check_sha256(content.hexdigest(), sha256, where=url)


def check_sha256(actual: str, expected: str, *, where: str) -> None:
    """Raises ToolError if the checksums differ."""
    if actual != expected:
        raise ToolError(f"has the checksum {actual}; {expected} is pinned, so it is not used", where=where)


def file_sha256(path: Path) -> str:
    """The checksum of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _resolve(url: str) -> None:
    """Give a name up that no resolver answers for: the HTTP client's own timeout does not cover the look-up."""
    parts = urlsplit(url)
    if urllib.request.getproxies().get(parts.scheme):
        return  # The proxy does the look-up.
    failure: list[OSError] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(parts.hostname, parts.port or parts.scheme)
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        raise ToolError(f"the name of the host does not resolve within {PATIENCE:.0f} s", where=url)
    if failure:
        raise ToolError(f"the name of the host does not resolve: {failure[0].strerror}", where=url)
