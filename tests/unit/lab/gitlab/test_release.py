"""Releases, deploy keys, hooks, trigger tokens, pictures, statuses: what the oracle does not look at."""

from __future__ import annotations

import base64
from typing import Any

import gitlab
import httpx
import pytest
from gitlab.exceptions import (
    GitlabCreateError,
    GitlabGetError,
    GitlabHttpError,
    GitlabProjectDeployKeyError,
)

from tests.unit.lab.gitlab.conftest import Served

pytestmark = pytest.mark.servers

KEY = f"ssh-ed25519 {base64.b64encode(bytes([0, 0, 0, 11]) + b'ssh-ed25519' + bytes(36)).decode()}"
ONE = "one: {script: [x]}\n"


@pytest.fixture
def project(root: gitlab.Gitlab, request: pytest.FixtureRequest) -> Any:
    name = f"p{abs(hash(request.node.nodeid)) % 10**9}"
    return root.projects.create({"name": name, "initialize_with_readme": True})


def test_a_release_makes_its_tag_once(project: Any) -> None:
    release = project.releases.create({"tag_name": "v1", "ref": "main", "description": "notes", "tag_message": "One"})
    assert project.tags.get("v1").message == "One"
    assert (release.name, release.upcoming_release, release.assets["count"]) == ("v1", False, 4)
    with pytest.raises(GitlabCreateError, match="Release already exists"):
        project.releases.create({"tag_name": "v1", "description": "again"})
    with pytest.raises(GitlabCreateError, match="Ref is not specified"):
        project.releases.create({"tag_name": "v2", "description": "no ref"})
    link = release.links.create({"name": "file", "url": "https://example.org/f", "direct_asset_path": "/f"})
    assert link.direct_asset_url.endswith("/-/releases/v1/downloads/f")
    with pytest.raises(GitlabCreateError, match="has already been taken"):
        release.links.create({"name": "file", "url": "https://example.org/other"})
    project.releases.delete("v1")
    assert project.tags.get("v1").name == "v1"


def test_deploy_keys_are_ssh_keys_of_ones_own_projects(served: Served, root: gitlab.Gitlab, project: Any) -> None:
    with pytest.raises(GitlabCreateError, match="is invalid"):
        project.keys.create({"title": "x", "key": "ssh-rsa nonsense"})
    key = project.keys.create({"title": "x", "key": KEY, "can_push": True})
    [everywhere] = [each for each in root.deploykeys.list(get_all=True) if each.id == key.id]
    assert [each["id"] for each in everywhere.projects_with_write_access] == [project.id]
    _, client = served.user("keyless")
    other = client.projects.create({"name": "other"})
    with pytest.raises(GitlabProjectDeployKeyError, match="404 Deploy Key Not Found"):
        other.keys.enable(key.id)
    key.delete()
    assert key.id not in [each.id for each in root.deploykeys.list(get_all=True)]


def test_a_hook_keeps_its_token_to_itself(project: Any) -> None:
    hook = project.hooks.create({"url": "https://example.org/h", "token": "secret-of-the-hook", "job_events": True})
    shown = project.hooks.get(hook.id)
    assert (shown.job_events, shown.push_events) == (True, True)
    assert "secret-of-the-hook" not in str(shown.attributes)
    with pytest.raises(GitlabCreateError, match="Invalid url given"):
        project.hooks.create({"url": "file:///etc/passwd"})


def test_a_trigger_token_starts_pipelines(served: Served, project: Any) -> None:
    project.files.create(
        {"file_path": ".gitlab-ci.yml", "branch": "main", "content": ONE, "commit_message": "Add [skip ci]"}
    )
    trigger = project.triggers.create({"description": "ci"})
    assert project.triggers.get(trigger.id).token == trigger.token[:10], "shown whole only once"
    place = f"{served.url}/api/v4/projects/{project.id}/trigger/pipeline"
    body = {"ref": "main", "token": trigger.token, "variables[WHY]": "because"}
    made = httpx.post(place, data=body)
    assert (made.status_code, made.json()["source"]) == (201, "trigger")
    variables = project.pipelines.get(made.json()["id"]).variables.list()
    assert [(each.key, each.value) for each in variables] == [("WHY", "because")]
    assert httpx.post(place, data={**body, "token": "glptt-wrong"}).status_code == 404
    trigger.delete()
    assert httpx.post(place, data=body).status_code == 404


def test_a_commit_is_picked_and_taken_back(project: Any) -> None:
    project.branches.create({"branch": "side", "ref": "main"})
    body = {"branch": "main", "commit_message": "Add a", "actions": [{"action": "create", "file_path": "a"}]}
    commit = project.commits.create(body)
    assert commit.cherry_pick(branch="side", dry_run=True) == {"dry_run": "success"}
    picked = commit.cherry_pick(branch="side")
    assert picked["message"] == f"Add a\n\n(cherry picked from commit {commit.id})"
    assert project.files.get("a", ref="side").file_path == "a"
    commit.revert(branch="main")
    with pytest.raises(GitlabGetError):
        project.files.get("a", ref="main")


def test_statuses_of_other_systems_stand_beside_jobs(project: Any) -> None:
    commit = project.commits.list(get_all=False)[0]
    commit.statuses.create({"state": "running", "name": "scan", "target_url": "https://example.org"})
    commit.statuses.create({"state": "failed", "name": "scan"})
    [status] = commit.statuses.list(get_all=True)
    assert (status.status, status.target_url, status.ref) == ("failed", "https://example.org", "main")


def test_pictures(served: Served, root: gitlab.Gitlab, project: Any, tmp_path: Any) -> None:
    picture = tmp_path / "avatar.png"
    picture.write_bytes(b"\x89PNG not really")
    with picture.open("rb") as file:
        project.avatar = file
        project.save()
    address = root.projects.get(project.id).avatar_url
    assert address.endswith(f"/uploads/-/system/project/avatar/{project.id}/avatar.png")
    assert httpx.get(address).status_code == 404, "the project is private"
    root.projects.update(project.id, {"visibility": "public"})
    assert httpx.get(address).content == b"\x89PNG not really"
    folder = address.removesuffix("avatar.png")
    assert httpx.get(f"{folder}..%2f..%2f..%2fsecret.key").status_code == 303, "no picture: a page, for those signed in"
    drawing = {"avatar": ("me.svg", b"<svg/>", "image/svg+xml")}
    answer = served.http().put(f"/projects/{project.id}", files=drawing)
    assert (answer.status_code, "file format is not supported" in answer.text) == (400, True)


def test_what_is_not_done_is_refused_by_name(root: gitlab.Gitlab) -> None:
    with pytest.raises(GitlabHttpError, match="the parameter throttle_authenticated_api_enabled is not part") as error:
        root.http_put("/application/settings", post_data={"throttle_authenticated_api_enabled": True})
    assert error.value.response_code == 501


def test_the_first_branch_of_an_empty_project(root: gitlab.Gitlab) -> None:
    project = root.projects.create({"name": "empty-at-first"})
    project.branches.create({"branch": "side", "ref": "main"})
    assert [each.title for each in project.commits.list(ref_name="main", get_all=True)] == ["Add README.md"]
