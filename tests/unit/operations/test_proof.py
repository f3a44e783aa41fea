"""What proves a stack fails where a server does not do what it is for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.clients.gitlab import GitLab
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.core.error import ServerError
from infra.core.progress import Silent
from infra.core.secret import SecretValue
from infra.operations import proof
from pipelines.catalogue import Catalogue


class Told(Silent):
    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def done(self, item: str, outcome: str) -> None:
        self.outcomes[item] = outcome


class Shelf:
    """A Nexus in memory that may spoil what it keeps."""

    def __init__(self, spoil: bytes = b"") -> None:
        self.kept: dict[str, bytes] = {}
        self.puts = 0
        self._spoil = spoil

    def upload(self, repository: str, path: str, content: bytes) -> None:
        self.puts += 1
        self.kept[f"{repository}/{path}"] = content + self._spoil

    def download(self, repository: str, path: str) -> bytes | None:
        return self.kept.get(f"{repository}/{path}")

    def delete_artifact(self, repository: str, path: str) -> None:
        del self.kept[f"{repository}/{path}"]


def test_an_artifact_is_put_got_and_taken_away() -> None:
    shelf, told = Shelf(), Told()
    proof.prove_nexus(cast(NexusClient, shelf), told)
    assert (shelf.puts, shelf.kept) == (1, {})
    assert told.outcomes == {"nexus": "an artifact was put and got"}


def test_an_artifact_that_comes_back_as_another_is_told_and_taken_away() -> None:
    shelf = Shelf(spoil=b"!")
    with pytest.raises(ServerError, match="came back as another"):
        proof.prove_nexus(cast(NexusClient, shelf), Told())
    assert shelf.kept == {}


def test_an_empty_secret_proves_nothing() -> None:
    openbao = SimpleNamespace(resolve=lambda _reference: SecretValue(""))
    with pytest.raises(ServerError, match="the secret is empty"):
        proof.prove_openbao(cast(OpenBao, openbao), Told())


def gitlab(jobs: list[dict[str, Any]]) -> GitLab:
    """A GitLab with one runner that ran these jobs."""

    def listed(*, status: str, **_: object) -> list[Any]:
        return [SimpleNamespace(attributes=job) for job in jobs if job["status"] == status]

    runner = SimpleNamespace(id=1, jobs=SimpleNamespace(list=listed))
    api = SimpleNamespace(
        runners_all=SimpleNamespace(list=lambda **_: [runner]), runners=SimpleNamespace(get=lambda *_, **__: runner)
    )
    return cast(GitLab, SimpleNamespace(api=api))


def waiting(monkeypatch: pytest.MonkeyPatch, run: Any) -> Catalogue:
    monkeypatch.setattr(proof, "latest", lambda *_: run)
    return cast(Catalogue, [object()])


def test_a_job_that_was_run_proves_the_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    job = {"name": "validate", "status": "failed", "project": {"path_with_namespace": "trading/x"}}
    told = Told()
    proof.prove_runner(gitlab([job]), waiting(monkeypatch, SimpleNamespace(ended=False)), told)
    assert told.outcomes == {"runner": "a job was run: validate of trading/x"}


@pytest.mark.parametrize("run", [None, SimpleNamespace(ended=True)])
def test_where_there_is_no_job_to_run_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    told = Told()
    proof.prove_runner(gitlab([]), waiting(monkeypatch, run), told)
    assert told.outcomes == {"runner": "no job to run yet"}


def test_a_runner_that_runs_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    running = {"name": "validate", "status": "running", "project": {"path_with_namespace": "trading/x"}}
    catalogue = waiting(monkeypatch, SimpleNamespace(ended=False))
    with pytest.raises(ServerError, match="no job was run within 0 s"):
        proof.prove_runner(gitlab([running]), catalogue, Told(), timeout=0)
