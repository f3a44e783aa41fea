"""A stack with one service, which goes when the tests of this folder have ended."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from infra.core.settings import ROOT
from infra.operations.status import gitlab_client
from tests.lab.onboarding.place import LANGUAGES, quiet
from tests.trial import Stack
from tests.trial import stack as new_stack


@pytest.fixture(scope="package")
def team(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of a team's own, with one service."""
    folder = tmp_path_factory.mktemp("team")
    (folder / "catalog").mkdir()
    shutil.copy(ROOT / "pipelines" / "catalog" / "market-data.yaml", folder / "catalog")
    shutil.copy(ROOT / "pipelines" / "release.yaml", folder)
    return folder


@pytest.fixture(scope="package")
def place(team: Path) -> Iterator[Stack]:
    """A stack with that service."""
    with new_stack(room=20) as made:
        stack = Stack(made.folder, {**made.environment, "FORGELINE_PIPELINES": str(team)})
        assert stack.json("up")["changed"]
        yield stack


@pytest.fixture(scope="package")
def gitlab(place: Stack) -> Iterator[GitLab]:
    """GitLab, as the administrator."""
    client = gitlab_client(place.settings)
    yield client
    client.close()


@pytest.fixture(scope="package")
def four(place: Stack, gitlab: GitLab, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """The plan of four services, what became of it, and the file of their wishes."""
    quiet(place, gitlab)
    file = tmp_path_factory.mktemp("wishes") / "services.yaml"
    lines = [
        f"  - {{name: {name}, language: {language}, tier: normal, owners: ['@risk']}}\n"
        for name, language in LANGUAGES.items()
    ]
    file.write_text("services:\n" + "".join(lines))
    plan = place.json("onboard", "--file", str(file), "--dry-run")
    files = [path for path in place.settings.data("pulumi").rglob("*") if path.is_file()]
    left = [path.name for path in files if "service-pay-" in path.name]
    assert left == [], "a dry run leaves nothing"
    return plan, place.json("onboard", "--file", str(file), "--yes"), file
