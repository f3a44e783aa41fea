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
from infra.operations import integration
from infra.operations.integration import Check, read_checks, run_checks, watch_health
from tests.loopback import serving


class Asked:
    """A service that is healthy as often as it is told to be."""

    def __init__(self) -> None:
        self.healthy = 1000
        self.unavailable = ""
        self.forgets = 0
        """How often it forgets what it was told before it is asked for it."""
        self.told: dict[str, Any] = {}
        asked = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.healthy -= self.path == "/health"
                documents = {"/health": {"status": "ok"}, "/version": {"version": "1.0.7"}}
                status = 200 if self.path in documents else 404
                self._answer(status if asked.healthy >= 0 else 503, json.dumps(documents.get(self.path, {})))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path == "/unavailable":
                    self._answer(503, json.dumps({"error": "x", "unavailable": asked.unavailable}))
                elif self.path == "/ask":
                    told, asked.told = (asked.told, {}) if not asked.forgets else ({}, {})
                    asked.forgets = max(asked.forgets - 1, 0)
                    self._answer(200, json.dumps(told))
                else:
                    asked.told = json.loads(body) if self.path == "/tell" else {}
                    self._answer(200, body or "x")

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
        ({"needs": ["unknown"]}, "'unknown' is no dependency of this service"),
    ],
)
def test_an_answer_is_held_against_what_is_expected(asked: Asked, changes: dict[str, Any], fault: str) -> None:
    (outcome,) = run_checks([check(**changes)], asked.url, {"other": asked.url}, patience=0)
    assert (outcome.name, outcome.missing) == ("x", "")
    assert outcome.fault.startswith(fault) if fault else outcome.is_fine


def test_a_service_that_is_not_there_is_told() -> None:
    (outcome,) = run_checks([check()], "http://127.0.0.1:9", {})
    assert outcome.fault.startswith("http://127.0.0.1:9 does not answer")


NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize("changes", [{"of": "other"}, {"needs": ["other"]}])
def test_a_dependency_that_is_not_deployed_is_named_and_no_fault(asked: Asked, changes: dict[str, Any]) -> None:
    (outcome,) = run_checks([check(**changes)], asked.url, {"other": NOBODY}, patience=0)
    assert (outcome.fault, outcome.missing) == ("", "other")


@pytest.mark.parametrize(
    ("unavailable", "addresses", "missing"),
    [
        ("third", {"other": ""}, "third"),
        ("other", {"other": ""}, ""),
        ("", {"other": ""}, ""),
    ],
    ids=["what a dependency needs", "a dependency that is there", "nothing named"],
)
def test_an_answer_that_names_a_missing_service(
    asked: Asked, unavailable: str, addresses: dict[str, str], missing: str
) -> None:
    asked.unavailable = unavailable
    checks = [check(method="POST", path="/unavailable", body={}, needs=["other"])]
    (outcome,) = run_checks(checks, asked.url, dict.fromkeys(addresses, asked.url), patience=0)
    assert outcome.missing == missing
    assert outcome.fault.startswith("" if missing else "status 503, not 200")


def test_what_could_not_be_told_can_not_be_known(asked: Asked) -> None:
    asked.unavailable = "third"
    tell = check(name="tell", method="POST", path="/unavailable", body={}, of="other")
    ask = check(name="ask", needs=["other"])
    alone = check(name="alone")
    outcomes = list(run_checks([tell, ask, alone], asked.url, {"other": asked.url}, patience=0))
    assert [(outcome.missing, bool(outcome.fault)) for outcome in outcomes] == [
        ("third", False),
        ("third", False),
        ("", True),
    ]


def test_a_service_that_needs_nothing_has_no_excuse(asked: Asked) -> None:
    asked.unavailable = "third"
    (outcome,) = run_checks([check(method="POST", path="/unavailable", body={})], asked.url, {}, patience=0)
    assert outcome.fault.startswith("status 503")


def test_a_dependency_is_waited_for_and_told_again(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration, "PAUSE", 0.01)
    asked.forgets = 2
    tell = check(name="tell", method="POST", path="/tell", body={"x": 1}, of="other")
    ask = check(name="ask", method="POST", path="/ask", body={}, needs=["other"], expect={"body": {"x": 1}})
    outcomes = list(run_checks([tell, ask], asked.url, {"other": asked.url}, patience=30))
    assert [outcome.is_fine for outcome in outcomes] == [True, True]
    asked.forgets = 1
    first, second = run_checks([tell, ask], asked.url, {"other": asked.url}, patience=0)
    assert (first.is_fine, second.fault) == (True, "expected {'x': 1}, found {}")


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
