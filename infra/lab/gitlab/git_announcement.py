"""What a push says before its objects: which refs it moves, and its options. The form is git's, gitprotocol-pack(5)."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request

from infra.lab.gitlab.push import RefChange

COMMANDS_LIMIT = 4 * 1024 * 1024
"""Bytes of a push's list of refs."""

_CHUNK = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Announced:
    """What a push says before its objects."""

    changes: tuple[RefChange, ...]
    options: tuple[str, ...]
    read: bytes
    """The bytes that were read to know it."""


class MalformedError(Exception):
    """The request is not what git sends."""


async def plain_body(request: Request) -> AsyncIterator[bytes]:
    """The request's body, unpacked when it came compressed, in pieces of bounded size."""
    packed = request.headers.get("content-encoding", "") in ("gzip", "x-gzip")
    unpacker = zlib.decompressobj(wbits=31)
    async for chunk in request.stream():
        if not packed:
            if chunk:
                yield chunk
            continue
        left = chunk
        while left:
            try:
                piece = unpacker.decompress(left, _CHUNK)
            except zlib.error as error:
                raise MalformedError(f"the body is not gzip: {error}") from error
            left = unpacker.unconsumed_tail
            if piece:
                yield piece
            elif not left:
                break


async def after(head: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes that were read already, then the rest."""
    yield head
    async for chunk in body:
        yield chunk


async def announcement(body: AsyncIterator[bytes]) -> Announced:
    """Read a push up to where its objects begin: commands, a flush, and push options where they were agreed on.

    Raises MalformedError for what is not git's.
    """
    reader = _PacketReader(body)
    lines = [line async for line in reader.section()]
    changes: list[RefChange] = []
    capabilities: list[bytes] = []
    for line in lines:
        command, nul, rest = line.partition(b"\0")
        if nul:
            capabilities = rest.split()
        if command.startswith(b"shallow "):
            continue
        parts = command.rstrip(b"\n").split(b" ", 2)
        if len(parts) != 3 or not all(re.fullmatch(rb"[0-9a-f]{40}", part) for part in parts[:2]):
            raise MalformedError("a command of the push is not of git's form")
        before, after, ref = (part.decode("utf-8", "surrogateescape") for part in parts)
        changes.append(RefChange(ref=ref, before=before, after=after))
    options: list[str] = []
    if b"push-options" in capabilities:
        options = [line.decode("utf-8", "replace").rstrip("\n") async for line in reader.section()]
    if len({change.ref for change in changes}) != len(changes):
        raise MalformedError("a ref is named twice")
    return Announced(changes=tuple(changes), options=tuple(options), read=bytes(reader.read))


class _PacketReader:
    """Reads pkt-lines and remembers all bytes that it took from the body."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.read = bytearray()
        self._at = 0

    async def section(self) -> AsyncIterator[bytes]:
        """The lines up to a flush packet."""
        while True:
            try:
                length = int(await self._take(4), 16)
            except ValueError as error:
                raise MalformedError("a packet's length is not a number") from error
            if length == 0:
                return
            if length < 4:
                raise MalformedError("a packet's length is too small")
            yield await self._take(length - 4)

    async def _take(self, size: int) -> bytes:
        while len(self.read) < self._at + size:
            if len(self.read) > COMMANDS_LIMIT:
                raise MalformedError("the push names too many refs")
            try:
                self.read += await anext(self._body)
            except StopAsyncIteration as error:
                raise MalformedError("the push broke off") from error
        taken = bytes(self.read[self._at : self._at + size])
        self._at += size
        return taken
