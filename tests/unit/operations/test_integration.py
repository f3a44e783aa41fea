"""Checks of a service that runs: what passes, what is told, and files of checks that are wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from infra.core.error import BadInputError, FindingsError
from infra.operations.integration import Check, read_checks, run_checks, watch_health
from tests.loopback import serving


class Asked:
    """A service that is healthy as often as it is told to be."""

    def __init__(self) -> None:
        self.healthy = 1000
        asked = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.healthy -= self.path == "/health"
                documents = {"/health": {"status": "ok"}, "/version": {"version": "1.0.7"}}
                status = 200 if self.path in documents else 404
                self._answer(status if asked.healthy >= 0 else 503, json.dumps(documents.get(self.path, {})))

            def do_POST(self) -> None:
                self._answer(200, self.rfile.read(int(self.headers["Content-Length"])).decode() or "x")

            def _answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args: object) -> None:
                return

        self.closing = ExitStack()
        self.url = self.closing.enter_context(serving(Handler))


@pytest.fixture
def asked() -> Iterator[Asked]:
    asked = Asked()
    yield asked
    asked.closing.close()


def check(**changes: Any) -> Check:
    return Check.model_validate({"name": "x", "path": "/echo", **changes})


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"path": "/health", "expect": {"body": {"status": "ok"}}}, ""),
        ({"method": "POST", "body": {"a": [1]}, "expect": {"body": {"a": [1]}}}, ""),
        ({"method": "POST", "body": {"a": 1, "b": 2}, "expect": {"body": {"a": 1}}}, ""),
        ({"expect": {"status": 404}}, ""),
        ({}, "status 404, not 200"),
        ({"method": "POST", "body": {"a": 1}, "expect": {"body": {"a": 2}}}, "expected {'a': 2}, found {'a': 1}"),
        ({"method": "POST", "body": [], "expect": {"body": {"a": None}}}, "expected {'a': None}, found []"),
        ({"of": "other", "path": "/health"}, ""),
        ({"of": "unknown"}, "'unknown' is no dependency of this service"),
    ],
)
def test_an_answer_is_held_against_what_is_expected(asked: Asked, changes: dict[str, Any], fault: str) -> None:
    ((name, found),) = run_checks([check(**changes)], asked.url, {"other": asked.url})
    assert name == "x"
    assert found.startswith(fault) if fault else found == ""


def test_a_service_that_is_not_there_is_told() -> None:
    ((_, fault),) = run_checks([check()], "http://127.0.0.1:9", {})
    assert fault.startswith("http://127.0.0.1:9 does not answer")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "is not there"),
        ("[]", "has no check"),
        ("", "Invalid JSON"),
        ("{}", "valid array"),
        ('[{"name": "x", "path": "nowhere"}]', "0.path: "),
        ('[{"name": "x", "path": "/", "exepct": {}}]', "0.exepct: "),
        ("[" * 100_000, "Invalid JSON"),
        ("\x00", "Invalid JSON"),
    ],
)
def test_a_file_of_checks_that_is_wrong_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "checks.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=message) as caught:
        read_checks(file)
    assert caught.value.where == str(file)


def test_health_is_watched(asked: Asked) -> None:
    assert watch_health(asked.url, "1.0.7", 1.2) >= 2
    with pytest.raises(FindingsError, match=r"expected \{'version': '1.0.8'\}"):
        watch_health(asked.url, "1.0.8", 0)
    asked.healthy = 1
    with pytest.raises(FindingsError, match="status 503"):
        watch_health(asked.url, "1.0.7", 5)
