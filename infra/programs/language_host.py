"""A Python program as the engine's language host: what stands in for `pulumi-language-python`, which is not needed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from pulumi.automation import PulumiFn
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc


@contextmanager
def language_host(program: PulumiFn) -> Iterator[str]:
    """The loopback address at which the engine finds the program, until the `with` block ends."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(program), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0)
