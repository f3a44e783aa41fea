"""The client of Nexus against a server that answers as Nexus does, recorded from 3.71.0-06."""

from __future__ import annotations

import base64
import http.server
import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.clients.nexus import NexusClient, UnauthorizedError
from infra.core.error import ServerError
from infra.core.progress import Silent
from infra.core.secret import SecretValue
from tests.loopback import serving

REST = "/service/rest/v1"

ANSWERS: dict[tuple[str, str], tuple[int, Any]] = {
    ("GET", f"{REST}/status"): (200, None),
    ("GET", f"{REST}/status/writable"): (200, None),
    ("GET", f"{REST}/status/check"): (200, {}),
    ("GET", "/service/rest/internal/ui/repositories/recipes"): (
        200,
        [
            {"format": "raw", "type": "hosted"},
            {"format": "maven2", "type": "proxy"},
            {"format": "raw", "type": "group"},
        ],
    ),
    ("GET", f"{REST}/repositories/maven/hosted/there"): (200, {"name": "there", "format": "maven2"}),
    ("PUT", f"{REST}/repositories/maven/hosted/there"): (204, None),
    ("POST", f"{REST}/repositories/maven/hosted"): (201, None),
    ("PUT", f"{REST}/repositories/raw/hosted/bad"): (
        400,
        [{"id": "PARAMETER storage", "message": "must not be null"}, {"id": "*", "message": "no"}],
    ),
    ("PUT", f"{REST}/security/anonymous"): (403, None),
    ("GET", "/repository/raw/a%20b/c"): (200, "content"),
}
"""Everything else is 404."""


class Nexus(http.server.BaseHTTPRequestHandler):
    """Answers `admin` with the password `right`."""

    seen: list[tuple[str, str]]

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        self.seen.append((self.command, path))
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status, body = ANSWERS.get((self.command, path), (404, None))
        given = self.headers.get("Authorization")
        right = "Basic " + base64.b64encode(b"admin:right").decode()
        if (given is not None and given != right) or (given is None and path not in OPEN):
            status, body = 401, None
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - the names that http.server calls

    def version_string(self) -> str:
        return "Nexus/3.71.0-06 (OSS)"

    def log_message(self, *_args: object) -> None:
        """Nothing is printed."""


OPEN = (f"{REST}/status", f"{REST}/status/writable")


@pytest.fixture(scope="module")
def seen() -> list[tuple[str, str]]:
    """The requests that arrived."""
    return []


@pytest.fixture(scope="module")
def url(seen: list[tuple[str, str]]) -> Iterator[str]:
    handler = type("Handler", (Nexus,), {"seen": seen})
    with serving(handler) as address:
        yield address


@pytest.fixture
def nexus(url: str, seen: list[tuple[str, str]]) -> Iterator[NexusClient]:
    seen.clear()
    client = NexusClient(url, username="admin", password=lambda: SecretValue("right"))
    yield client
    client.close()


def test_what_the_server_can_do_is_read_from_it(nexus: NexusClient) -> None:
    assert nexus.version() == "3.71.0-06"
    assert nexus.formats() == {"raw", "maven2"}
    nexus.wait_ready(Silent(), timeout=1)


def test_an_object_is_updated_and_one_that_is_missing_is_made(nexus: NexusClient, seen: list[tuple[str, str]]) -> None:
    nexus.put_repository("maven2", "hosted", {"name": "there"})
    nexus.put_repository("maven2", "hosted", {"name": "new"})
    path = f"{REST}/repositories/maven/hosted"
    assert seen == [("PUT", f"{path}/there"), ("PUT", f"{path}/new"), ("POST", path)]


def test_what_is_missing_is_none_and_may_be_deleted(nexus: NexusClient) -> None:
    assert nexus.repository("maven2", "hosted", "there") == {"name": "there", "format": "maven2"}
    assert nexus.repository("maven2", "hosted", "other") is None
    assert nexus.download("raw", "nothing") is None
    assert nexus.download("raw", "a b/c") == b'"content"'
    nexus.delete_role("other")


def test_a_password_is_accepted_or_not(nexus: NexusClient) -> None:
    assert nexus.accepts("admin", SecretValue("right"))
    assert not nexus.accepts("admin", SecretValue("admin123"))


def test_each_field_that_nexus_refuses_is_told(nexus: NexusClient, url: str) -> None:
    with pytest.raises(ServerError) as caught:
        nexus.put_repository("raw", "hosted", {"name": "bad"})
    assert caught.value.what == "Nexus refused: PARAMETER storage: must not be null; *: no (HTTP 400)"
    assert caught.value.where == f"{url} PUT {REST}/repositories/raw/hosted/bad"


def test_a_lacking_privilege_is_told(nexus: NexusClient) -> None:
    with pytest.raises(ServerError, match="HTTP 403") as caught:
        nexus.put_anonymous({"enabled": False})
    assert "lacks a privilege" in caught.value.fix


def test_a_wrong_password_is_told_and_not_shown(url: str) -> None:
    client = NexusClient(url, username="admin", password=lambda: SecretValue("wrong-password"))
    with pytest.raises(UnauthorizedError) as caught:
        client.repositories()
    assert "wrong-password" not in str(caught.value)
    client.close()


def test_nobody_there_is_told() -> None:
    client = NexusClient("http://127.0.0.1:1", username="admin", password=lambda: SecretValue("x"))
    assert not client.answers()
    assert not client.writable()
    with pytest.raises(ServerError, match="does not answer"):
        client.repositories()
    with pytest.raises(ServerError, match="is not ready after 0 s: waiting for an answer"):
        client.wait_ready(Silent(), timeout=0)
    client.close()
