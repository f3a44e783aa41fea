"""Onboarding that is killed, that meets another one, and whose requests fail: the same command finishes it."""

from __future__ import annotations

import gc
import io
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter
from rich.console import Console

from infra.cli.display import Display
from infra.clients.gitlab import GitLab
from infra.clients.request import writes
from infra.core.error import ExitCode, ForgelineError
from infra.operations.onboard import Onboarded, Onboarding
from infra.operations.work import Work
from pipelines.catalogue import Catalogue
from pipelines.onboarding import Placed, Wish
from tests.lab.onboarding.place import CHEAP, killed, quiet
from tests.trial import Stack

# The fault sweep cuts connections, and the SDK leaves the event loops of failed programs unclosed.
pytestmark = [
    pytest.mark.lab,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(autouse=True)
def _swept() -> Iterator[None]:
    """What is left of a test is collected before the next one, which would be blamed for it."""
    yield
    gc.collect()


def test_a_killed_run_is_finished_by_the_same_command(place: Stack, gitlab: GitLab) -> None:
    arguments = ("onboard", "killed", *CHEAP)
    for after in ("checking names", "Release", "platform ", "service-killed", "First pipeline"):
        assert killed(place, arguments, after) == -signal.SIGKILL
    done = place.json(*arguments)
    assert len(done["pipelines"]) == 1
    assert place.json(*arguments)["changed"] is False
    assert len(gitlab.project("trading/killed").commits.list(get_all=True)) == 1
    assert place.json("drift") == []


def test_two_at_once_take_turns(place: Stack) -> None:
    results: dict[str, Any] = {}

    def onboard(name: str) -> None:
        results[name] = place.json("onboard", name, *CHEAP)

    threads = [threading.Thread(target=onboard, args=(name,)) for name in ("first-one", "another")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    services = [results[name]["services"][0] for name in ("first-one", "another")]
    assert len({service["port"] for service in services}) == 2
    assert len({service["pipeline"] for service in services}) == 2
    assert "Nothing to change" in place.run("preview").stdout


class Faults:
    """Lets each request fail once: before it is sent, or after it was answered (`lost`).

    The latter only where it may have changed something: whose question is not answered can't tell it from a refusal.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, lost: bool) -> None:
        self.failed: set[str] = set()
        self.lost = lost
        self._lock = threading.Lock()
        send, handle = HTTPAdapter.send, httpx.HTTPTransport.handle_request

        def requests_send(adapter: Any, request: Any, **options: Any) -> Any:
            due = self._due(request.method, request.path_url)
            answer = None if due and not lost else send(adapter, request, **options)
            if answer is not None and due:
                answer.close()
            if due:
                raise requests.ConnectionError("cut by the test")
            return answer

        def httpx_handle(transport: Any, request: Any) -> Any:
            due = self._due(request.method, request.url.raw_path.decode())
            answer = None if due and not lost else handle(transport, request)
            if answer is not None and due:
                answer.close()
            if due:
                raise httpx.ConnectError("cut by the test")
            return answer

        monkeypatch.setattr(HTTPAdapter, "send", requests_send)
        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", httpx_handle)

    def _due(self, verb: str, path: str) -> bool:
        if self.lost and not writes(verb, path):
            return False
        key = f"{verb} {path.partition('?')[0]}"
        with self._lock:
            first = key not in self.failed
            self.failed.add(key)
        return first


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "answer-lost"])
def test_each_request_fails_once_and_the_same_call_finishes(
    place: Stack, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    quiet(place, gitlab)
    name = "swept-lost" if lost else "swept"
    wish = Placed(wish=Wish(name=name, language="generic", tier="normal", owners=("risk",)))
    display = Display(Console(file=io.StringIO()), quiet=True)

    def run() -> Onboarded:
        catalogue = Catalogue.of(place.settings)
        return Onboarding(work=Work(place.settings, catalogue, place.environment, display)).run([wish])

    errors: list[ForgelineError] = []
    with monkeypatch.context() as patched:
        faults = Faults(patched, lost=lost)
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            try:
                run()
                break
            except ForgelineError as error:
                errors.append(error)
        else:
            pytest.fail(f"not finished after {len(errors)} runs: {errors[-1]}")
    made = [key for key in faults.failed if key.startswith(("POST", "PUT", "DELETE"))]
    assert len(made) > 20, "the faults must have reached what changes the servers"
    assert len(errors) > 5
    assert {error.exit_code for error in errors} == {ExitCode.SERVER_FAILED}
    assert run().changed is False
    assert len(gitlab.project(f"trading/{name}").commits.list(get_all=True)) == 1
    assert place.json("drift") == []
    assert "Nothing to change" in place.run("preview").stdout
