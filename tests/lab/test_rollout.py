"""A release that goes out, one that halts and comes back, and what is done by hand: with a catalogue of the team's own.

The tests of this module go on from each other, in their order; after them the stack is as it was.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from infra.core.error import ExitCode
from pipelines.catalogue import load_catalogue
from tests.lab.team import ANCHOR, Team
from tests.trial import FORGELINE, Stack

pytestmark = pytest.mark.lab

CANARY = "client-reporting"
EVERYBODY = sorted(load_catalogue().services)
PIPELINES = "platform/pipelines"


@pytest.fixture(scope="module")
def team(stack: Stack, runs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    assert {run["status"] for run in runs.values()} == {"success"}
    yield Team(stack, tmp_path_factory.mktemp("team") / "pipelines")
    # Back to the checkout's own catalogue: the tests after these expect it.
    stack.run("up")


def config_path(gitlab: GitLab, service: str = CANARY) -> str:
    return str(gitlab.api.projects.get(f"trading/{service}").ci_config_path)


def tags(gitlab: GitLab) -> dict[str, str]:
    """The releases in GitLab, with the commit of each."""
    return {tag.name: tag.commit["id"] for tag in gitlab.api.projects.get(PIPELINES).tags.list(get_all=True)}


def test_a_release_is_published_once_and_moves_nobody(team: Team, gitlab: GitLab) -> None:
    assert team.states() == {}
    team.edit("templates/base.yml.j2", ANCHOR, f'echo "looking for tools"\n{ANCHOR}')
    for command in (("pipelines", "release"), ("up",)):
        refused = team.stack.run(*command, expect=ExitCode.BAD_INPUT).stderr
        assert "files changed without a new version" in refused
        assert f"{team.folder}/release.yaml:" in refused
    assert team.states() == dict.fromkeys(EVERYBODY, "template-newer")

    team.edit("release.yaml", "version: v1.0.0", "version: v1.1.0")
    planned = team.stack.json("pipelines", "release", "--dry-run")
    assert set(tags(gitlab)) == {"v1.0.0"}
    assert planned["affected"] == EVERYBODY
    done = team.stack.json("pipelines", "release", "v1.1.0")
    assert done["changes"] == planned["changes"]
    assert set(tags(gitlab)) == {"v1.0.0", "v1.1.0"}
    again = team.stack.json("pipelines", "release", "v1.1.0")
    assert (again["published"], again["writes"], again["changes"]) == (True, 0, [])
    assert {config_path(gitlab, name).rpartition(":")[2] for name in EVERYBODY} == {"v1.0.0"}


def stopped(team: Team, number: int, after: str, *arguments: str) -> int:
    """Start `forgeline ARGUMENTS`, send the signal when a line of its progress has `after`; the exit code."""
    command = [str(FORGELINE), *arguments]
    with subprocess.Popen(
        command, env=team.stack.environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if after in line:
                break
        run.send_signal(number)
        run.stderr.read()
        return run.wait(timeout=60)


def test_a_canary_that_was_stopped_and_killed_is_finished_by_the_next_run(team: Team, gitlab: GitLab) -> None:
    before = len(gitlab.project(f"trading/{CANARY}").pipelines.list(get_all=True))
    canary = ("pipelines", "rollout", "v1.1.0", "--wave", "canary")
    planned = team.stack.json(*canary, "--dry-run")
    assert [(move["service"], move["before"], move["after"]) for move in planned["moves"]] == [
        (CANARY, "v1.0.0", "v1.1.0")
    ]
    assert planned["changes"]
    assert config_path(gitlab).endswith(":v1.0.0")

    assert stopped(team, signal.SIGINT, "jobs passed", *canary) == ExitCode.INTERRUPTED
    assert stopped(team, signal.SIGKILL, "jobs passed", *canary) == -signal.SIGKILL
    done = team.stack.json(*canary)
    assert done["moves"] == planned["moves"]
    assert [(run["service"], run["status"]) for run in done["pipelines"]] == [(CANARY, "success")]
    assert len(gitlab.project(f"trading/{CANARY}").pipelines.list(get_all=True)) == before + 1
    assert config_path(gitlab) == f"{CANARY}.yml@{PIPELINES}:v1.1.0"
    assert team.pins() == {CANARY: "v1.1.0"}
    assert team.states() == dict.fromkeys(set(EVERYBODY) - {CANARY}, "template-newer")
    assert team.stack.json(*canary)["moves"] == []


def test_a_red_release_halts_at_the_canary_and_comes_back(team: Team, gitlab: GitLab) -> None:
    team.edit("release.yaml", "version: v1.1.0", "version: v1.2.0")
    team.edit("templates/base.yml.j2", ANCHOR, f"ls /nowhere/at-all\n{ANCHOR}")
    assert stopped(team, signal.SIGKILL, "… platform", "pipelines", "release") == -signal.SIGKILL
    assert team.stack.json("pipelines", "release")["version"] == "v1.2.0"
    assert team.stack.json("pipelines", "release")["writes"] == 0
    told = team.stack.json("pipelines", "rollout", "v1.2.0", expect=ExitCode.FINDINGS)
    (done,) = told["pipelines"]
    assert (told["halted"]["service"], told["halted"]["job"]) == (CANARY, "validate")
    assert any("/nowhere/at-all" in line for line in told["halted"]["log"])
    assert team.pins() == {CANARY: "v1.2.0"}
    assert config_path(gitlab, "settlement").endswith(":v1.0.0")

    back = team.stack.json("pipelines", "rollout", "v1.2.0", "--rollback")
    assert [(move["service"], move["after"]) for move in back["moves"]] == [(CANARY, "v1.1.0")]
    assert [(run["service"], run["status"]) for run in back["pipelines"]] == [(CANARY, "success")]
    assert back["pipelines"][0]["id"] > done["id"]
    assert (config_path(gitlab), team.pins()) == (f"{CANARY}.yml@{PIPELINES}:v1.1.0", {CANARY: "v1.1.0"})
    assert team.stack.json("pipelines", "rollout", "v1.2.0", "--rollback")["moves"] == []


def test_what_is_done_by_hand_is_told_apart(team: Team, gitlab: GitLab) -> None:
    team.edit("catalog/market-data.yaml", "description: ", "description: All ")
    team.edit("catalog/settlement.yaml", "pipeline: v1.0.0", "pipeline: v1.0.0\nhold: {reason: quarter end}")
    project = gitlab.api.projects.get("trading/fund-valuation")
    project.ci_config_path = ".gitlab-ci.yml"
    project.save()
    pipelines, commits = gitlab.api.projects.get(PIPELINES), tags(gitlab)
    pipelines.tags.delete("v1.1.0")
    pipelines.tags.create({"tag_name": "v1.1.0", "ref": commits["v1.2.0"], "message": "Pipelines v1.1.0"})
    found = {item["service"]: item for item in team.stack.json("pipelines", "drift", expect=ExitCode.FINDINGS)}
    assert found["fund-valuation"]["state"] == "setting-altered"
    assert found[CANARY]["state"] == "released-file-altered"
    assert found["market-data"]["states"] == ["catalogue-changed", "template-newer"]
    assert (found["settlement"]["drifted"], found["settlement"]["hold"]) == (False, "quarter end")
    refused = team.stack.run("pipelines", "rollout", "v1.1.0", expect=ExitCode.BAD_INPUT).stderr
    assert "is not what was published" in refused
    # A release that is not the newest any more is still looked after.
    drifted = team.stack.json("drift", expect=ExitCode.FINDINGS)
    assert {item["urn"].rpartition("::")[2] for item in drifted} == {
        f"{PIPELINES}-v1.1.0",
        "trading/fund-valuation",
    }

    pipelines.tags.delete("v1.1.0")
    pipelines.tags.create({"tag_name": "v1.1.0", "ref": commits["v1.1.0"], "message": "Pipelines v1.1.0"})
    project.ci_config_path = f"fund-valuation.yml@{PIPELINES}:v1.0.0"
    project.save()
    assert team.states()[CANARY] == "template-newer"


def test_a_pin_to_what_gitlab_does_not_have_touches_nothing(team: Team, gitlab: GitLab) -> None:
    file = team.folder / "catalog" / "order-gateway.yaml"
    team.edit("catalog/order-gateway.yaml", "pipeline: v1.0.0", "pipeline: v3.0.0")
    refused = team.stack.run("up", expect=ExitCode.BAD_INPUT).stderr
    line = file.read_text().splitlines().index("pipeline: v3.0.0") + 1
    assert f"{file}:{line}:1" in refused
    assert "no pipeline release v3.0.0" in refused
    assert config_path(gitlab, "order-gateway").endswith(":v1.0.0")
