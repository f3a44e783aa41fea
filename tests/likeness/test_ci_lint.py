"""What CI lint answers to common mistakes: GitLab's own texts, by `/ci/lint` of a running stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.likeness.conftest import TOKEN, served

MISTAKES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("ci_lint.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def lint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the API of one project."""
    with (
        served(tmp_path_factory.mktemp("lint")) as url,
        httpx.Client(base_url=f"{url}/api/v4", headers={"PRIVATE-TOKEN": TOKEN}) as client,
    ):
        project = client.post("/projects", json={"name": "settlement", "initialize_with_readme": True}).json()
        client.base_url = client.base_url.join(f"/api/v4/projects/{project['id']}/ci/lint")
        yield client


@pytest.mark.oracle("GitLab's CI lint: texts of mistakes")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake["mistake"].replace(" ", "-"))
def test_a_mistake_is_told_in_gitlabs_words(lint: httpx.Client, mistake: dict[str, Any]) -> None:
    answer = lint.post("", json={"content": mistake["text"]}).json()
    assert answer["valid"] is False
    assert answer["errors"] == mistake["errors"]


def test_a_right_configuration_has_no_error(lint: httpx.Client) -> None:
    answer = lint.post("", json={"content": "build: {script: make, needs: []}"}).json()
    assert (answer["valid"], answer["errors"]) == (True, [])


def test_every_text_has_its_source() -> None:
    assert len(MISTAKES) >= 25
    assert all(mistake["source"].endswith(".rb") for mistake in MISTAKES)
    assert len({mistake["text"] for mistake in MISTAKES}) == len(MISTAKES)
