"""The fleet as a platform team works with it: seen at a glance and in depth, brought up to date, and adopted.

What these tests change of the shared stack they change back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from infra.core.error import ExitCode
from infra.core.settings import ROOT
from infra.operations.desired import first_files
from infra.programs.checkpoint import Checkpoints
from pipelines.boilerplate import LOCK, with_lock
from pipelines.catalogue import load_catalogue
from tests.trial import Stack

pytestmark = pytest.mark.lab

NAME = "settlement"
TRIAL = "fleet-trial"


def test_the_table_shows_what_runs_where(stack: Stack, runs: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in stack.json("services")}
    assert set(rows) == set(load_catalogue().services)
    for name, run in runs.items():
        row, version = rows[name], f"1.0.{run['number']}"
        assert (row["last_pipeline"]["id"], row["last_pipeline"]["status"]) == (run["id"], "success")
        assert row["versions"] == {"dev": version, "test": version, "staging": None, "production": None}
        assert (row["drift"]["state"], row["newest"], row["problems"]) == ("clean", "v1.0.0", [])
    assert [row["name"] for row in stack.json("services", "--owner", "risk")] == ["pre-trade-risk"]
    assert stack.json("services", "--red") == []


def test_a_pipeline_setting_that_was_changed_by_hand_is_drift(stack: Stack, gitlab: GitLab) -> None:
    project = gitlab.api.projects.get(f"trading/{NAME}")
    before, project.ci_config_path = project.ci_config_path, ".gitlab-ci.yml"
    project.save()
    try:
        assert [row["name"] for row in stack.json("services", "--drift")] == [NAME]
        seen = stack.json("service", NAME)
        assert [one["field"] for one in seen["resource_drift"]] == ["ci_config_path"]
        assert seen["next"][0]["command"] == "forgeline up --refresh"
    finally:
        project.ci_config_path = before
        project.save()


def test_one_service_in_depth(stack: Stack, runs: dict[str, Any]) -> None:
    name = next(iter(runs))
    seen = stack.json("service", name)
    assert seen["pipelines"][0]["id"] == runs[name]["id"]
    where = {one["environment"]: one for one in seen["environments"]}
    for environment in ("dev", "test"):
        one = where[environment]
        assert (one["version"], one["healthy"]) == (f"1.0.{runs[name]['number']}", True)
        assert one["sha"] == runs[name]["sha"]
        assert one["since"]
    assert (where["production"]["version"], where["production"]["approved_by"]) == (None, "")
    assert {one["state"] for one in seen["access"]} == {"as declared"}
    assert f"publish-{name}" in {one["name"] for one in seen["access"] if one["system"] == "nexus"}
    assert (seen["resource_drift"], seen["problems"]) == ([], [])


def test_a_new_seed_has_nothing_to_be_updated(stack: Stack) -> None:
    found = stack.json("services", "update", "--all", "--dry-run")
    assert {one["service"]: one["outcome"] for one in found} == dict.fromkeys(
        load_catalogue().services, "nothing to do"
    )


@pytest.fixture
def trial(stack: Stack, gitlab: GitLab, tmp_path: Path) -> Iterator[tuple[Stack, Any]]:
    """A service of its own catalogue, whose repository was begun from an older skeleton and went on."""
    folder = tmp_path / "pipelines"
    shutil.copytree(ROOT / "pipelines" / "catalog", folder / "catalog")
    shutil.copy(ROOT / "pipelines" / "release.yaml", folder)
    entry = (folder / "catalog" / "client-reporting.yaml").read_text()
    port = load_catalogue().service("client-reporting").port
    for old, new in (("name: client-reporting\n", f"name: {TRIAL}\n"), (f"port: {port}\n", "port: 9999\n")):
        assert old in entry
        entry = entry.replace(old, new)
    (folder / "catalog" / f"{TRIAL}.yaml").write_text(entry)
    service = load_catalogue(folder / "catalog", release=folder / "release.yaml").service(TRIAL)
    new = {path: text for path, text in first_files(stack.settings, service).items() if path != LOCK}
    older = {**new, "README.md": f"{new['README.md']}\nAn older end.\n", ".gitignore": "older\n", "gone": "older\n"}
    group = gitlab.api.groups.get("trading")
    made = gitlab.api.projects.create({"name": TRIAL, "path": TRIAL, "namespace_id": group.id})
    project = gitlab.api.projects.get(made.id)
    for message, files in (
        ("Begin the service", with_lock(older)),
        ("Work", {"README.md": f"Ours.\n\n{older['README.md']}"}),
    ):
        action = "create" if message.startswith("Begin") else "update"
        actions = [{"action": action, "file_path": path, "content": text} for path, text in files.items()]
        project.commits.create({"branch": "main", "commit_message": message, "actions": actions})
    yield Stack(stack.folder, {**stack.environment, "FORGELINE_PIPELINES": str(folder)}), project
    project.delete()


def test_boilerplate_comes_by_a_merge_request_that_the_next_run_leaves(trial: tuple[Stack, Any]) -> None:
    team, project = trial
    (done,) = team.json("services", "update", TRIAL)
    assert done["outcome"] == "merge request opened"
    assert {file["path"]: file["fate"] for file in done["files"]} == {
        ".gitignore": "replaced",
        "README.md": "merged",
        "gone": "removed",
    }
    assert team.json("services", "update", TRIAL)[0]["outcome"] == "merge request is as it should be"
    (request,) = project.mergerequests.list(state="opened", get_all=True)
    assert request.web_url == done["web_url"]
    for pipeline in project.pipelines.list(get_all=True):
        pipeline.cancel()
    request.merge()
    readme = project.files.get("README.md", ref="main").decode().decode()
    assert readme.startswith("Ours.\n")
    assert "An older end." not in readme
    assert team.json("services", "update", TRIAL)[0]["outcome"] == "nothing to do"


@pytest.fixture
def lost(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """Where the state was, which is not there any more; it is put back if it is not made anew."""
    folder = stack.settings.data("pulumi")
    kept = tmp_path / "pulumi"
    shutil.move(folder, kept)
    yield folder
    if not Checkpoints(folder).names():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(kept, folder)


def test_a_lost_state_is_adopted_without_a_write(stack: Stack, lost: Path) -> None:
    planned = stack.json("adopt", "--dry-run")
    assert {one["verdict"] for one in planned["resources"]} == {"equal"}
    done = stack.json("adopt")
    assert (done["writes"], len(done["resources"])) == (0, len(planned["resources"]))
    assert all(one["adopted"] for one in done["resources"])
    assert stack.json("preview") == []
    again = stack.json("up")
    assert (again["changed"], again["writes"]) == (False, 0)
    assert stack.json("drift") == []
    assert stack.json("adopt")["resources"] == []
    assert len(Checkpoints(lost).names()) == len(load_catalogue()) + 2


def test_what_differs_is_listed_and_taken_only_when_asked(stack: Stack, gitlab: GitLab) -> None:
    checkpoints = Checkpoints(stack.settings.data("pulumi"))
    for file in checkpoints.file(f"service-{NAME}").parent.glob(f"service-{NAME}.json*"):
        file.unlink()
    project = gitlab.api.projects.get(f"trading/{NAME}")
    project.description = "By hand"
    project.save()
    project.protectedtags.delete("v*")

    found = stack.json("adopt", NAME, expect=ExitCode.FINDINGS)
    told = {
        (one["kind"].rpartition(":")[2], one["verdict"]): one for one in found["resources"] if one["verdict"] != "equal"
    }
    assert set(told) == {("Project", "different"), ("ProtectedTag", "missing")}
    assert told["Project", "different"]["fields"] == ["description"]
    assert not any(one["adopted"] for one in told.values())
    assert all(one["adopted"] for one in found["resources"] if one["verdict"] == "equal")

    taken = stack.json("adopt", NAME, "--take")
    assert [one["kind"] for one in taken["resources"] if one["adopted"]] == ["forgeline:gitlab:Project"]
    assert found["writes"] == taken["writes"] == 0
    assert gitlab.api.projects.get(project.id).description == "By hand"
    planned = [(change["op"], change["kind"].rpartition(":")[2]) for change in stack.json("preview")]
    assert sorted(planned) == [("create", "ProtectedTag"), ("update", "Project")]
    stack.run("up")
    assert gitlab.api.projects.get(project.id).description == load_catalogue().service(NAME).description
    assert stack.json("drift") == []
