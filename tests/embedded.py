"""The embedded GitLab as a process of its own: bootstrapped, served on a free port, stopped or killed, served again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.trial import free_ports

ROOT_TOKEN = "glpat-root-token-of-the-tests"
ROOT_PASSWORD = "correct horse battery"
HEADERS = {"PRIVATE-TOKEN": ROOT_TOKEN}
_MODULE = (sys.executable, "-m", "infra.lab.gitlab")


def bootstrap(data: Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Make the administrator; `text` is given on standard input in place of the usual one."""
    given = text or json.dumps({"username": "root", "password": ROOT_PASSWORD, "token": ROOT_TOKEN})
    command = [*_MODULE, "bootstrap", "--data", str(data)]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


@contextmanager
def serving(data: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A ready server on `data` and its address; what it says goes to the file `log` beside. Killed at the end."""
    port = port or free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    command = [*_MODULE, "serve", "--data", str(data), "--port", str(port), "--external-url", url]
    with ExitStack() as stack:
        log = stack.enter_context((data.parent / "log").open("ab"))
        process = stack.enter_context(subprocess.Popen(command, stdout=log, stderr=log))
        stack.callback(process.kill)
        _wait_until_ready(process, url)
        yield process, url


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    # It takes a second; a machine that does ten other things at once is given time.
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(f"{url}/-/readiness", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError("the server does not answer")
