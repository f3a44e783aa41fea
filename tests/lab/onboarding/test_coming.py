"""Services that come: of each language from nothing to green, with their history, and not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.clients.gitlab import GitLab
from infra.core.error import ExitCode
from pipelines.catalogue import Catalogue
from tests.lab.onboarding.place import CHEAP, LANGUAGES, old_repository
from tests.trial import Stack

pytestmark = pytest.mark.lab


def test_a_service_of_each_language_comes_from_nothing_to_green(four: tuple[Any, Any, Path], place: Stack) -> None:
    _, done, _ = four
    assert {run["service"]: run["status"] for run in done["pipelines"]} == dict.fromkeys(LANGUAGES, "success")
    for name in LANGUAGES:
        for shown in done["environments"][name][:2]:
            version = httpx.get(shown["health"].replace("/health", "/version")).json()
            assert version["name"] == name, shown


def test_the_plan_is_what_happens(four: tuple[Any, Any, Path], team: Path, gitlab: GitLab) -> None:
    plan, done, _ = four
    assert (plan["dry_run"], plan["changed"], done["changed"]) == (True, False, True)
    assert plan["changes"], "an empty plan would prove nothing"
    assert plan["changes"] == done["changes"]
    for key in ("services", "new", "release", "files", "repositories", "environments"):
        assert plan[key] == done[key], key
    for path, text in plan["files"].items():
        assert Path(path).read_text() == text
    assert {Path(path).name for path in plan["files"]} == {"release.yaml", *(f"{name}.yaml" for name in LANGUAGES)}
    for name, files in plan["repositories"].items():
        project = gitlab.project(f"trading/{name}")
        there = project.repository_tree(recursive=True, get_all=True)
        assert {item["path"] for item in there if item["type"] == "blob"} == set(files)
        assert project.files.raw("README.md", ref="main").decode() == files["README.md"]
        assert f"deploy-{name}-production" in files["docs/delivery.md"]
        shares = gitlab.api.projects.get(f"trading/{name}").shared_with_groups
        assert [(share["group_full_path"], share["group_access_level"]) for share in shares] == [("teams/risk", 30)]


def test_a_second_time_changes_nothing(four: tuple[Any, Any, Path], place: Stack, team: Path, gitlab: GitLab) -> None:
    before = {path: path.stat().st_mtime_ns for path in team.rglob("*.yaml")}
    again = place.json("onboard", "--file", str(four[2]), "--yes")
    assert (again["changed"], again["changes"], again["files"], again["new"]) == (False, [], {}, [])
    assert before == {path: path.stat().st_mtime_ns for path in team.rglob("*.yaml")}
    assert [len(gitlab.project(f"trading/{name}").pipelines.list(get_all=True)) for name in LANGUAGES] == [1] * 4
    assert place.json("drift") == []
    assert "Nothing to change" in place.run("preview").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("pay-go", "--tier", "core", "--language", "go"), "pay-go.yaml:5:1", id="another-tier"),
        pytest.param(("payjava", "--language", "java", "--tier", "normal"), "Java package", id="one-in-java"),
        pytest.param(("x;id", "--language", "go", "--tier", "normal"), "mean something to a shell", id="injection"),
        pytest.param(("new", "--language", "go", "--tier", "normal"), "GitLab keeps for itself", id="reserved"),
        pytest.param(("pay-x", "--language", "rust", "--tier", "normal"), "'rust' is not one of", id="language"),
        pytest.param(("pay-x", "--language", "go"), "--tier is missing", id="nobody-to-ask"),
        pytest.param(
            ("pay-x", "--language", "go", "--tier", "core", "--from", "http://127.0.0.1:1/x"), "be cloned", id="from"
        ),
    ],
)
def test_bad_input_touches_nothing(place: Stack, team: Path, arguments: tuple[str, ...], said: str) -> None:
    before = {path: path.read_bytes() for path in team.rglob("*") if path.is_file()}
    result = place.run("onboard", *arguments, "--owner", "risk", "--yes", expect=ExitCode.BAD_INPUT)
    assert said in result.stderr
    assert before == {path: path.read_bytes() for path in team.rglob("*") if path.is_file()}


def test_a_project_that_belongs_to_nobody_is_in_the_way(place: Stack, gitlab: GitLab) -> None:
    group = gitlab.api.groups.get("trading")
    project = gitlab.api.projects.create({"name": "squatter", "path": "squatter", "namespace_id": group.id})
    result = place.run("onboard", "squatter", *CHEAP, expect=ExitCode.BAD_INPUT)
    assert "there is a project trading/squatter already" in result.stderr
    project.delete()


def test_a_repository_comes_with_its_history(place: Stack, gitlab: GitLab, tmp_path: Path) -> None:
    old_repository(tmp_path, "old-quotes", Catalogue.of(place.settings))
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=tmp_path, text=True).strip()
    arguments = ("onboard", "old-quotes", "--tier", "normal", "--owner", "risk", "--from", str(tmp_path), "--yes")
    done = place.json(*arguments)
    assert done["services"][0]["language"] == "go"
    project = gitlab.project("trading/old-quotes")
    first, *others = project.commits.list(ref_name="main", get_all=True)
    assert (first.id, len(others)) == (head, 1)
    (request,) = project.mergerequests.list(get_all=True)
    assert done["merge_requests"] == {"old-quotes": request.web_url}
    changed = {change["new_path"]: change["new_file"] for change in request.changes()["changes"]}
    assert changed == dict.fromkeys(done["adopted"]["old-quotes"]["offered"], True)
    assert {"CODEOWNERS", "integration/checks.json", "docs/delivery.md"} <= set(changed)
    assert [run["status"] for run in done["pipelines"]] == ["success"]
    again = place.json(*arguments)
    assert (again["changed"], again["merge_requests"]) == (False, done["merge_requests"])
    assert len(project.mergerequests.list(get_all=True)) == 1
