"""An embedded GitLab of its own for a module's tests, served on a free port."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gitlab
import httpx
import pytest
import uvicorn

from infra.lab.gitlab.api import endpoint
from infra.lab.gitlab.api.route import Answer, Route
from infra.lab.gitlab.app import build
from infra.lab.gitlab.bootstrap import Administrator, bootstrap
from infra.lab.gitlab.instance import Instance, Settings
from tests.embedded import ROOT_PASSWORD, ROOT_TOKEN
from tests.git import environment
from tests.likeness.answer import answer_problems
from tests.likeness.openapi import key_of
from tests.trial import free_ports


@dataclass(frozen=True)
class Served:
    """A running instance, and the clients to close at its end."""

    url: str
    instance: Instance
    clients: ExitStack

    def client(self, token: str = ROOT_TOKEN) -> gitlab.Gitlab:
        """python-gitlab, signed in."""
        return self.clients.enter_context(gitlab.Gitlab(self.url, private_token=token, timeout=30))

    def http(self, token: str | None = ROOT_TOKEN) -> httpx.Client:
        """A plain client of the API."""
        headers = {"PRIVATE-TOKEN": token} if token else {}
        return self.clients.enter_context(httpx.Client(base_url=f"{self.url}/api/v4", headers=headers, timeout=30))

    def user(self, name: str, scopes: tuple[str, ...] = ("api",)) -> tuple[Any, gitlab.Gitlab]:
        """A new user and their client."""
        user = self.client().users.create(
            {"username": name, "name": name.title(), "email": f"{name}@example.org", "password": "long enough 1"}
        )
        token = user.personal_access_tokens.create({"name": "test", "scopes": list(scopes)})
        return user, self.client(token.token)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One instance for the module; names in it must not clash between tests."""
    data = tmp_path_factory.mktemp("gitlab")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    app = build(Settings(data=data, external_url=url))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    instance: Instance = app.state.instance
    with instance.store.write() as session:
        wanted = {"username": "root", "password": ROOT_PASSWORD, "token": ROOT_TOKEN}
        bootstrap(session, Administrator.model_validate(wanted))
    with ExitStack() as clients:
        yield Served(url, instance, clients)
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def root(served: Served) -> gitlab.Gitlab:
    """The administrator's client."""
    return served.client()


Git = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Calls the real git in the test's folder, without this machine's configuration."""

    def run(*arguments: str, cwd: Path | None = None, check: bool = True) -> Any:
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"git {arguments} ended with {done.returncode}: {done.stderr}")
        return done

    return run


_ANSWERS: list[tuple[Route, int, Any]] = []


@pytest.fixture(scope="session", autouse=True)
def _recorded() -> Iterator[None]:
    """Keeps what every endpoint answers, for `_as_described`."""
    make = endpoint._response

    def record(route: Route, answer: Answer) -> Any:
        response = make(route, answer)
        if response.media_type == "application/json" and getattr(response, "body", b""):
            _ANSWERS.append((route, response.status_code, json.loads(bytes(response.body))))
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoint, "_response", record)
        yield


@pytest.fixture(autouse=True)
def _as_described(_recorded: None) -> Iterator[None]:
    """Fails a test in which the stand-in answered with a code or a field that GitLab's own description has not."""
    _ANSWERS.clear()
    yield
    problems = {
        f"{route.method} {route.path} {problem}"
        for route, status, body in _ANSWERS
        for problem in answer_problems(key_of(route.method, route.path), status, body)
    }
    assert not problems, "\n".join(sorted(problems))
