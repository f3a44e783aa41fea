"""What an engine asks inside a container, asked here: it needs nothing but bash and grep."""

from __future__ import annotations

import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler

import pytest

from infra.servers import health
from tests.loopback import serving
from tests.trial import free_ports


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/well" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def asked(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)


def test_only_an_answer_of_200_is_well() -> None:
    with serving(Answering) as url:
        port = int(url.rpartition(":")[2])
        assert asked(health.answers("127.0.0.1", port, "/well")).returncode == 0
        ill = asked(health.answers("127.0.0.1", port, "/ill"))
        assert ill.returncode == 1
        assert ill.stdout.strip() == "/ill answers 503"
        assert asked(health.listens("127.0.0.1", port)).returncode == 0


def test_where_nothing_listens_nothing_is_well() -> None:
    (port,) = free_ports(1)
    assert asked(health.answers("127.0.0.1", port, "/")).returncode != 0
    assert asked(health.listens("127.0.0.1", port)).returncode != 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_program_is_found_by_its_name() -> None:
    with subprocess.Popen(["sh", "-c", "echo begun; exec sleep 60"], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        deadline = time.monotonic() + 10
        while asked(health.runs("sleep")).returncode != 0:
            assert time.monotonic() < deadline, "the program is not found"
        running.terminate()
    assert asked(health.runs("forgeline-none")).returncode != 0
