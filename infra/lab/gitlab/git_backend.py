"""Runs `git http-backend`, git's own server of its HTTP protocol, as a CGI program."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from infra.lab.gitlab import git
from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.git_announcement import MalformedError
from infra.lab.gitlab.instance import Instance

_CHUNK = 64 * 1024


class Backend:
    """One run of `git http-backend`."""

    def __init__(
        self,
        instance: Instance,
        request: Request,
        project_id: int,
        service: str,
        identity: Identity,
        *,
        push: Path | None = None,
    ) -> None:
        extra = {
            "GIT_PROJECT_ROOT": str(instance.repositories),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{project_id}.git/{service}",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": identity.user.username if identity.user else "anonymous",
        }
        if protocol := request.headers.get("git-protocol"):
            extra["GIT_PROTOCOL"] = protocol
        if push is not None:
            extra["FORGELINE_PUSH"] = str(push)
        self._environment = git.environment(hooks=instance.settings.data / "hooks", extra=extra)

    async def stream(self, body: AsyncIterator[bytes]) -> Response:
        """Pass git's answer on as it comes."""
        process, feeder = await self._start(body)
        try:
            status, headers = await _head(process)
        except BaseException:
            await _end(process, feeder)
            raise
        return StreamingResponse(_rest(process, feeder), status, headers)

    async def answer(self, body: AsyncIterator[bytes]) -> Response:
        """Wait for git to be done, and give its whole answer. For pushes, whose answers are short."""
        process, feeder = await self._start(body)
        try:
            status, headers = await _head(process)
            content = await _output(process).read()
            await process.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process, feeder)
        return Response(content, status, headers)

    async def _start(self, body: AsyncIterator[bytes]) -> tuple[asyncio.subprocess.Process, asyncio.Task[None]]:
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
            limit=_CHUNK,
        )
        return process, asyncio.create_task(_feed(process, body))


async def _feed(process: asyncio.subprocess.Process, body: AsyncIterator[bytes]) -> None:
    """Write the body to git. A client that breaks off ends git's input; a git that has ended ends the writing."""
    writer = process.stdin
    if writer is None:
        raise RuntimeError("git was started without an input")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, ClientDisconnect, MalformedError):
        async for chunk in body:
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        writer.close()
        await writer.wait_closed()


async def _head(process: asyncio.subprocess.Process) -> tuple[int, dict[str, str]]:
    """The status and headers of git's CGI answer; 500 when it said none."""
    status, headers = 200, {}
    while line := (await _output(process).readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    return (status, headers) if headers else (500, headers)


async def _rest(process: asyncio.subprocess.Process, feeder: asyncio.Task[None]) -> AsyncIterator[bytes]:
    try:
        while chunk := await _output(process).read(_CHUNK):
            yield chunk
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process, feeder)


async def _end(process: asyncio.subprocess.Process, feeder: asyncio.Task[None]) -> None:
    """Leave nothing running, whichever side broke off."""
    feeder.cancel()
    await asyncio.gather(feeder, return_exceptions=True)
    if process.returncode is None:
        try:
            await asyncio.wait_for(process.wait(), timeout=5)
        except TimeoutError:
            process.kill()
            await process.wait()


def _output(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise RuntimeError("git was started without an output")
    return process.stdout
