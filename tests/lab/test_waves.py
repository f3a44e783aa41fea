"""A release that goes through all waves, and back, with green pipelines of all ten services: with `--all-services`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from pipelines.catalogue import load_catalogue
from pipelines.wave import Wave, wave_of
from tests.lab.team import ANCHOR, Team

pytestmark = pytest.mark.lab

CATALOGUE = load_catalogue()
BEFORE, AFTER = "v1.0.0", "v1.3.0"
"""Later than what other tests release on the same stack."""


@pytest.fixture
def team(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Team]:
    if not request.config.getoption("--all-services"):
        pytest.skip("twenty pipelines: with --all-services")
    stack = request.getfixturevalue("calm")
    yield Team(stack, tmp_path / "pipelines")
    stack.run("up")


def pipelines(gitlab: GitLab, done: Mapping[str, Any]) -> dict[str, Any]:
    """The pipelines of a roll-out by service, as GitLab has them."""
    return {
        run["service"]: gitlab.project(f"trading/{run['service']}").pipelines.get(run["id"])
        for run in done["pipelines"]
    }


def releases(gitlab: GitLab) -> set[str]:
    """Those that services are on."""
    return {gitlab.api.projects.get(service.project).ci_config_path.rpartition(":")[2] for service in CATALOGUE}


def test_a_release_goes_through_all_waves_and_back(team: Team, gitlab: GitLab) -> None:
    team.edit("templates/base.yml.j2", ANCHOR, f'echo "looking for tools"\n{ANCHOR}')
    team.edit("release.yaml", f"version: {BEFORE}", f"version: {AFTER}")
    team.stack.run("pipelines", "release")
    forth = pipelines(gitlab, team.stack.json("pipelines", "rollout", AFTER))
    assert {name: one.status for name, one in forth.items()} == dict.fromkeys(CATALOGUE.services, "success")
    assert releases(gitlab) == {AFTER}
    waves = [[forth[service.name] for service in CATALOGUE if wave_of(service) is wave] for wave in Wave]
    peopled = [wave for wave in waves if wave]
    assert len(peopled) > 1
    for earlier, later in pairwise(peopled):
        ended = max(datetime.fromisoformat(one.finished_at) for one in earlier)
        assert ended <= min(datetime.fromisoformat(one.created_at) for one in later)

    back = pipelines(gitlab, team.stack.json("pipelines", "rollout", AFTER, "--rollback"))
    assert {name: one.status for name, one in back.items()} == dict.fromkeys(CATALOGUE.services, "success")
    assert all(back[name].id > forth[name].id for name in CATALOGUE.services)
    assert (releases(gitlab), team.pins()) == ({BEFORE}, {})
