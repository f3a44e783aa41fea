"""Serves the provider over gRPC on a loopback port: one process for all stacks of a run, or a plug-in for `pulumi`."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from infra.core.error import ForgelineError, ServerError
from infra.provider.explain import explained
from infra.provider.provider import ForgelineProvider
from infra.provider.schema import VERSION


class Servicer(ProviderServicer):
    """The SDK's servicer, with `Attach` and with errors that a person can read."""

    def __init__(self, provider: ForgelineProvider) -> None:
        super().__init__([], VERSION, provider, engine_address="")

    async def Attach(self, _request: Any, _context: Any) -> empty_pb2.Empty:  # noqa: N802 - the protocol's name
        """The engine says where it is; nothing here calls back."""
        return empty_pb2.Empty()

    async def Handshake(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """What the provider understands. Without an answer, the engine's question is logged as an error."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    async def DiffConfig(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Never a difference. The SDK's own answer for that is no valid message."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """See ForgelineProvider.check."""
        return await _guarded(super().Check, request, context)

    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """See ForgelineProvider.diff."""
        return await _guarded(super().Diff, request, context)

    async def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """See ForgelineProvider.create."""
        return await _guarded(super().Create, request, context)

    async def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """See ForgelineProvider.read."""
        return await _guarded(super().Read, request, context)

    async def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """See ForgelineProvider.update."""
        return await _guarded(super().Update, request, context)

    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """See ForgelineProvider.delete."""
        return await _guarded(super().Delete, request, context)


async def _guarded(call: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any) -> Any:
    try:
        return await call(request, context)
    except Exception as error:
        known = explained(error)
        code = grpc.StatusCode.FAILED_PRECONDITION if isinstance(known, ForgelineError) else grpc.StatusCode.INTERNAL
        await context.abort(code, str(known) if isinstance(known, ForgelineError) else f"a bug: {known}")
        raise


class ProviderServer:
    """The provider on a free port of 127.0.0.1, in a thread of its own, from `with` to its end."""

    def __init__(self, provider: ForgelineProvider) -> None:
        self._provider = provider
        self._thread = threading.Thread(target=self._main, name="provider", daemon=True)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: Exception | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise ServerError("the provider could not listen on 127.0.0.1", where="provider") from self._failure
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=5)

    def _main(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            server, self.port = await _listen(self._provider)
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits for it
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        await self._stop.wait()
        await server.stop(grace=1)


async def _listen(provider: ForgelineProvider) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, port


def serve_plugin(provider: ForgelineProvider) -> None:
    """What a plug-in executable does: listens, writes its port to standard output, and serves until it is ended."""

    async def serve() -> None:
        server, port = await _listen(provider)
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await server.wait_for_termination()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        return
