"""Following pipelines while GitLab is restarted, and when it stays away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.clients.gitlab import GitLab, NoAnswerError
from infra.core.progress import Silent
from infra.core.secret import SecretValue
from infra.operations import pipeline_run
from infra.operations.pipeline_run import PipelineRun, follow
from pipelines.catalogue import load_catalogue
from tests.trial import free_ports

SERVICE = load_catalogue().service("settlement")
FIELDS = {"id": 5, "iid": 2, "status": "success", "ref": "main", "sha": "0", "web_url": "http://x"}
RUN = PipelineRun(service="settlement", id=5, number=2, status="running", ref="main", sha="0", web_url="http://x")


class Restarted:
    """A GitLab that does not answer the first questions."""

    def __init__(self, silent: int) -> None:
        self.silent = silent

    def project(self, _path: str) -> Any:
        return SimpleNamespace(pipelines=self)

    def get(self, _number: int) -> Any:
        self.silent -= 1
        if self.silent >= 0:
            raise NoAnswerError("GitLab does not answer")
        return SimpleNamespace(attributes=FIELDS, jobs=SimpleNamespace(list=lambda **_: []))


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_run, "POLL_SECONDS", 0.0)


def followed(silent: int) -> list[PipelineRun]:
    gitlab = cast(GitLab, Restarted(silent))
    return follow(gitlab, [RUN], {"settlement": SERVICE}, Silent(), timeout=60)


def test_a_gitlab_that_is_restarted_is_waited_for() -> None:
    assert [run.status for run in followed(3)] == ["success"]


def test_a_gitlab_that_stays_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_run, "PATIENCE", 0.0)
    with pytest.raises(NoAnswerError):
        followed(3)


def test_nobody_at_the_address_is_an_error_that_says_what_to_do() -> None:
    (port,) = free_ports(1)
    gitlab = GitLab(f"http://127.0.0.1:{port}", SecretValue("x"))
    with pytest.raises(NoAnswerError, match="ConnectionError") as caught:
        gitlab.find_project("trading/settlement")
    gitlab.close()
    assert caught.value.where == f"http://127.0.0.1:{port}"
    assert "forgeline status" in caught.value.fix
