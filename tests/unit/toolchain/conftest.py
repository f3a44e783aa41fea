"""What the toolchain's tests share: a vendor's site on loopback."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest

from tests.loopback import serving


@dataclass
class Site:
    """Files by path. A path in `hanging` is never answered."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            if self.path in made.hanging:
                made.over.wait(30)
                return
            content = made.files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        made = Site(address=address)
        yield made
        made.over.set()


def tarball(files: dict[str, bytes], mode: int = 0o755) -> bytes:
    """A tar.gz of files by path."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            file.addfile(member, io.BytesIO(content))
    return out.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Recorder:
    """Progress that remembers."""

    events: list[tuple[str, str, str]] = field(default_factory=list)

    def start(self, item: str, doing: str) -> None:
        self.events.append(("start", item, doing))

    def done(self, item: str, outcome: str) -> None:
        self.events.append(("done", item, outcome))

    def failed(self, item: str, reason: str) -> None:
        self.events.append(("failed", item, reason))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def make_tarball():
    return tarball


@pytest.fixture
def checksum():
    return sha256
