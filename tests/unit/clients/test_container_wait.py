"""Waiting for a container: what is shown meanwhile, and what is told where it ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from infra.clients.container import Containers
from infra.core.error import ServerError
from infra.core.progress import Silent
from infra.core.server import Probe, Readiness


class Recorder(Silent):
    """Keeps what was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def start(self, _item: str, doing: str) -> None:
        self.shown.append(doing)


class Starting:
    """A container that goes through these states, one a look; it says how far it is."""

    name = "forgeline-trial-gitlab"

    def __init__(self, *states: tuple[str, str]) -> None:
        self._states = list(states)
        self.attrs: dict[str, Any] = {"RestartCount": 0}

    def reload(self) -> None:
        status, health = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        self.attrs = {
            "RestartCount": 0,
            "State": {"Status": status, "ExitCode": 1, **({"Health": {"Status": health}} if health else {})},
        }

    def logs(self, tail: int) -> bytes:
        lines = ["Thank you for using GitLab Docker Image!", "Configuring GitLab...", "Recipe: gitlab::puma", ""]
        return "\n".join(lines[-1 - tail :]).encode()


def waiting_for(container: Starting, answers: list[str], progress: Recorder) -> Containers:
    engine: Any = SimpleNamespace(client=SimpleNamespace(containers=SimpleNamespace(get=lambda _name: container)))
    prober: Any = SimpleNamespace(ask=lambda _readiness, _files: answers.pop(0))
    return Containers(engine, prober, profile="trial", progress=progress)


@pytest.mark.parametrize(
    ("tells", "shown"),
    [
        (False, "waiting for an answer"),
        (True, "waiting for an answer; running (starting): Recipe: gitlab::puma"),
    ],
    ids=["of a server that is quick", "of one that tells how far it is"],
)
def test_what_is_waited_for_is_shown(monkeypatch: pytest.MonkeyPatch, tells: bool, shown: str) -> None:
    monkeypatch.setattr("infra.clients.container.INTERVAL", 0)
    progress = Recorder()
    container = Starting(("running", "starting"))
    waiting = waiting_for(container, ["waiting for an answer", ""], progress)
    waiting.wait_ready("any", Readiness(probe=Probe.HTTP, url="http://there", tells=tells), shown="gitlab")
    assert progress.shown == [shown]


def test_one_that_ends_is_told_with_its_last_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.clients.container.INTERVAL", 0)
    container = Starting(("running", ""), ("exited", ""))
    waiting = waiting_for(container, ["waiting for an answer"], Recorder())
    with pytest.raises(ServerError, match="ended by itself with exit code 1") as caught:
        waiting.wait_ready("any", Readiness(probe=Probe.HTTP, url="http://there"), shown="gitlab")
    assert "Recipe: gitlab::puma" in caught.value.detail
    assert caught.value.fix == "docker logs forgeline-trial-gitlab"
