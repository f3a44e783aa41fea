"""How the clients of a load speak: one kept connection each, as little work as can be, and git itself."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.git import environment

PATIENCE = 300.0
"""Seconds for which a server that does not answer is asked again."""


@dataclass(frozen=True)
class Reply:
    """An answer; status 0: there was none. `seconds` is how long it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        """The body's document."""
        return json.loads(self.body)


@dataclass(kw_only=True)
class Wire:
    """A client's connection. An answer of 500 and above is a problem."""

    url: str
    problems: list[str]
    token: str | None = field(default=None, repr=False)
    over: threading.Event = field(default_factory=threading.Event)
    """Once set, nobody waits for an answer any more."""
    _connection: http.client.HTTPConnection | None = None

    def once(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Reply:
        """One try."""
        given = {"PRIVATE-TOKEN": self.token} if self.token else {}
        content: bytes | None = body
        if body is not None and not isinstance(body, bytes):
            content, given["Content-Type"] = json.dumps(body).encode(), "application/json"
        began = time.monotonic()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
            self._connection.request(method, f"/api/v4{path}", content, {**given, **(headers or {})})
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return Reply(0, {}, b"", time.monotonic() - began)
        seconds = time.monotonic() - began
        if answer.status >= 500:
            self.problems.append(f"{method} {path}: {answer.status} {text[:200]!r}")
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text, seconds)

    def send(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Tries until there is an answer, or the patience is over."""
        deadline = time.monotonic() + PATIENCE
        while True:
            reply = self.once(method, path, body, headers=headers)
            if reply.status:
                return reply
            if self.over.is_set() or time.monotonic() > deadline:
                self.problems.append(f"{method} {path}: no answer")
                return reply
            time.sleep(0.1)

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The document of an answer that must be a good one."""
        reply = self.send(method, path, body)
        assert reply.status in (200, 201), (method, path, reply.status, reply.body[:500])
        return reply.json()

    def upload(self, path: str, content: bytes, *, headers: Mapping[str, str]) -> Reply:
        """Sends a file as a job's archive."""
        boundary = "forgeline-boundary"
        start = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="artifacts.zip"\r\n\r\n'
        body = start.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self.send("POST", f"{path}?artifact_type=archive&artifact_format=zip", body, headers={**kind, **headers})

    def close(self) -> None:
        """Let go of the connection; the next try opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def git(*arguments: str, cwd: Path, stdin: str = "") -> str:
    """What the real git prints, without this machine's configuration. Fails as an assertion does."""
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, env=environment(cwd), input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"git {arguments[0]}: {done.stderr}"
    return done.stdout
