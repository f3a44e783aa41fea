"""What makes a pipeline and what does not: pushes, the API, skipping, errors, permissions, configuration elsewhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

TOKEN = "glpat-0123456789abcdefghij"
ONE = "one: {script: [make]}\n"


def _user(server: Any, name: str) -> tuple[int, httpx.Client]:
    user = server.post("/users", username=name, name=name, email=f"{name}@example.com", password="secret-password-1")
    token = server.post(
        f"/users/{user['id']}/personal_access_tokens",
        name="t",
        scopes=["api"],
        expires_at=str(date.today() + timedelta(30)),
    )
    client = httpx.Client(base_url=f"{server.url}/api/v4", headers={"PRIVATE-TOKEN": token["token"]}, timeout=30)
    return user["id"], client


@pytest.mark.parametrize("marker", ["[skip ci]", "[ci skip]", "[CI-SKIP]"])
def test_skip_ci_makes_a_skipped_pipeline(server: Any, project: dict[str, Any], marker: str) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": ONE}, message=f"Change {marker}")
    [pipeline] = server.pipelines(project["id"])
    assert pipeline["status"] == "skipped"
    assert server.jobs(project["id"], pipeline["id"]) == {}


def test_no_configuration_no_pipeline(server: Any, project: dict[str, Any]) -> None:
    server.commit(project["id"], {"README": "x"})
    assert server.pipelines(project["id"]) == []
    answer = server.api.post(f"/projects/{project['id']}/pipeline", json={"ref": "main"})
    assert (answer.status_code, answer.json()) == (400, {"message": {"base": ["Missing CI config file"]}})


def test_wrong_configuration(server: Any, project: dict[str, Any]) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": "one: {stage: nowhere, script: [x]}\n"})
    [pipeline] = server.pipelines(project["id"])
    shown = server.get(f"/projects/{project['id']}/pipelines/{pipeline['id']}")
    assert shown["status"] == "failed"
    assert "chosen stage nowhere does not exist" in shown["yaml_errors"]
    answer = server.api.post(f"/projects/{project['id']}/pipeline", json={"ref": "main"})
    assert answer.status_code == 400
    assert "chosen stage nowhere" in answer.text
    assert len(server.pipelines(project["id"])) == 1


def test_workflow_filters(server: Any, project: dict[str, Any]) -> None:
    config = "workflow: {rules: [{if: '$CI_PIPELINE_SOURCE == \"api\"'}]}\n" + ONE
    server.commit(project["id"], {".gitlab-ci.yml": config})
    assert server.pipelines(project["id"]) == []
    assert server.post(f"/projects/{project['id']}/pipeline", ref="main")["source"] == "api"


def test_api_with_variables(server: Any, project: dict[str, Any], runner: Any) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": "variables: {A: yaml}\n" + ONE}, message="x [skip ci]")
    server.post(f"/projects/{project['id']}/variables", key="A", value="project")
    made = server.post(f"/projects/{project['id']}/pipeline", ref="main", variables=[{"key": "A", "value": "given"}])
    assert server.get(f"/projects/{project['id']}/pipelines/{made['id']}/variables")[0]["value"] == "given"
    variables = {each["key"]: each["value"] for each in runner.take()["variables"]}
    assert (variables["A"], variables["CI_PIPELINE_SOURCE"]) == ("given", "api")
    assert server.get(f"/projects/{project['id']}/pipelines/latest")["id"] == made["id"]


@pytest.mark.parametrize(("ref", "text"), [("nothing", "Reference not found"), ("--all", "Reference not found")])
def test_unknown_ref(server: Any, project: dict[str, Any], ref: str, text: str) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": ONE})
    answer = server.api.post(f"/projects/{project['id']}/pipeline", json={"ref": ref})
    assert (answer.status_code, answer.json()) == (400, {"message": {"base": [text]}})


def test_tag_pipeline(server: Any, project: dict[str, Any], runner: Any) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": "one: {script: [x], rules: [{if: $CI_COMMIT_TAG}]}\n"})
    assert server.pipelines(project["id"]) == []
    server.post(f"/projects/{project['id']}/repository/tags", tag_name="v1", ref="main", message="First")
    job = runner.take()
    variables = {each["key"]: each["value"] for each in job["variables"]}
    assert (variables["CI_COMMIT_TAG"], variables["CI_COMMIT_TAG_MESSAGE"]) == ("v1", "First")
    assert "CI_COMMIT_BRANCH" not in variables
    assert (job["git_info"]["ref_type"], job["git_info"]["refspecs"][1]) == ("tag", "+refs/tags/v1:refs/tags/v1")


def test_protected_variables_only_on_protected_refs(server: Any, project: dict[str, Any], runner: Any) -> None:
    server.post(f"/projects/{project['id']}/variables", key="GUARDED", value="secret-value", protected=True)
    server.commit(project["id"], {".gitlab-ci.yml": ONE})
    assert "GUARDED" in {each["key"] for each in runner.take()["variables"]}
    server.commit(project["id"], {"x": "y"}, branch="feature")
    job = runner.take()
    assert "GUARDED" not in {each["key"] for each in job["variables"]}
    assert not job["git_info"]["protected"]


def test_variables_of_an_environment(server: Any, project: dict[str, Any], runner: Any) -> None:
    for scope, value in (("*", "any"), ("dev", "dev"), ("prod*", "prod")):
        server.post(f"/projects/{project['id']}/variables", key="WHERE", value=value, environment_scope=scope)
    server.commit(project["id"], {".gitlab-ci.yml": "one: {script: [x], environment: dev}\ntwo: {script: [x]}\n"})
    seen = {}
    for _ in range(2):
        job = runner.take()
        seen[job["job_info"]["name"]] = {each["key"]: each["value"] for each in job["variables"]}["WHERE"]
    assert seen == {"one": "dev", "two": "any"}


def test_configuration_in_another_project(server: Any, project: dict[str, Any], runner: Any) -> None:
    central = server.post("/projects", name=f"central-{project['id']}")
    path = central["path_with_namespace"]
    server.commit(central["id"], {"svc.yml": "include: [{local: part.yml}]\n", "part.yml": "central: {script: [v1]}\n"})
    server.post(f"/projects/{central['id']}/repository/tags", tag_name="v1", ref="main")
    server.commit(central["id"], {"part.yml": "central: {script: [v2]}\n"})
    server.put(f"/projects/{project['id']}", ci_config_path=f"svc.yml@{path}:v1")
    server.commit(project["id"], {"README": "x"})
    job = runner.take("central")
    assert job["steps"][0]["script"] == ["v1"]

    user, client = _user(server, f"dev{project['id']}")
    server.post(f"/projects/{project['id']}/members", user_id=user, access_level=30)
    server.commit(project["id"], {"NEW": "y"}, branch="feature")
    with client:
        answer = client.post(f"/projects/{project['id']}/pipeline", json={"ref": "feature"})
        assert answer.status_code == 400
        assert "not found or access denied" in answer.text
        server.post(f"/projects/{central['id']}/members", user_id=user, access_level=20)
        assert client.post(f"/projects/{project['id']}/pipeline", json={"ref": "feature"}).status_code == 201


def test_who_may_run(server: Any, project: dict[str, Any]) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": "one: {script: [x], when: manual}\n"})
    server.api.delete(f"/projects/{project['id']}/protected_branches/main")
    server.post(
        f"/projects/{project['id']}/protected_branches", name="main", push_access_level=40, merge_access_level=40
    )
    pipeline = server.pipelines(project["id"])[0]["id"]
    job = server.jobs(project["id"], pipeline)["one"]["id"]
    user, client = _user(server, f"worker{project['id']}")
    base = f"/projects/{project['id']}"
    with client:
        assert client.get(f"{base}/pipelines").status_code == 404
        member = server.post(f"{base}/members", user_id=user, access_level=20)
        assert client.get(f"{base}/pipelines/{pipeline}").status_code == 200
        assert client.post(f"{base}/pipeline", json={"ref": "main"}).status_code == 403
        assert client.post(f"{base}/jobs/{job}/play").status_code == 403
        server.put(f"{base}/members/{member['id']}", access_level=30)
        answer = client.post(f"{base}/pipeline", json={"ref": "main"})
        assert (answer.status_code, "sufficient permission" in answer.text) == (400, True)
        assert client.post(f"{base}/jobs/{job}/play").status_code == 403
        assert client.post("/user/runners", json={"runner_type": "instance_type"}).status_code == 403
        body = {"runner_type": "project_type", "project_id": project["id"]}
        assert client.post("/user/runners", json=body).status_code == 403
        server.put(f"{base}/members/{member['id']}", access_level=40)
        assert client.post(f"{base}/jobs/{job}/play").status_code == 200
        assert client.post("/user/runners", json=body).status_code == 201
        assert client.delete(f"{base}/pipelines/{pipeline}").status_code == 403
    assert server.api.delete(f"{base}/pipelines/{pipeline}").status_code == 204
    assert server.post(f"{base}/pipeline", ref="main")["iid"] == 2, "a deleted pipeline's number never comes again"


def test_variables_may_be_forbidden(server: Any, project: dict[str, Any]) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": ONE})
    server.put(f"/projects/{project['id']}", ci_pipeline_variables_minimum_override_role="no_one_allowed")
    body = {"ref": "main", "variables": [{"key": "A", "value": "b"}]}
    answer = server.api.post(f"/projects/{project['id']}/pipeline", json=body)
    assert (answer.status_code, "Insufficient permissions" in answer.text) == (400, True)


def test_a_push_told_twice_makes_one_pipeline(server: Any, project: dict[str, Any]) -> None:
    from infra.lab.gitlab.instance import Push
    from infra.lab.gitlab.pipelines.push import on_push

    sha = server.commit(project["id"], {".gitlab-ci.yml": ONE}, message="x [skip ci]")
    push = Push(
        id=10_000 + project["id"],
        project_id=project["id"],
        ref="refs/heads/main",
        before="0" * 40,
        after=sha,
        user_id=1,
    )
    before = len(server.pipelines(project["id"]))
    on_push(server.instance, push)
    on_push(server.instance, push)
    assert len(server.pipelines(project["id"])) == before + 1


def test_redundant_pipelines_are_canceled(server: Any, project: dict[str, Any], runner: Any) -> None:
    config = (
        "default: {interruptible: true}\none: {script: [x]}\ntwo: {script: [x], interruptible: false, stage: deploy}\n"
    )
    server.commit(project["id"], {".gitlab-ci.yml": config})
    first = server.pipelines(project["id"])[0]["id"]
    runner.take("one")
    server.commit(project["id"], {"x": "1"})
    assert server.states(project["id"], first) == {"one": "canceling", "two": "canceled"}


def test_a_started_job_that_is_not_interruptible_keeps_its_pipeline(
    server: Any, project: dict[str, Any], runner: Any
) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": "one: {script: [x]}\n"})
    first = server.pipelines(project["id"])[0]["id"]
    runner.take("one")
    server.commit(project["id"], {"x": "1"})
    assert server.states(project["id"], first) == {"one": "running"}


def test_lint(server: Any, project: dict[str, Any], new_runner: Callable[..., Any]) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": ONE})
    path = f"/projects/{project['id']}/ci/lint"
    good = server.post(path, 200, content="two: {script: [y]}\n", include_jobs=True, dry_run=True)
    assert (good["valid"], good["errors"], [job["name"] for job in good["jobs"]]) == (True, [], ["two"])
    bad = server.post(path, 200, content="two: {stage: none, script: [y]}\n")
    assert not bad["valid"]
    assert "chosen stage none does not exist" in bad["errors"][0]
    assert server.get(path)["valid"]
    assert server.api.get(path, params={"content_ref": "nothing"}).status_code == 404


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Dev", "-c", "user.email=dev@example.com", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def test_git_push(server: Any, project: dict[str, Any], tmp_path: Path) -> None:
    _git(tmp_path, "init", ".")
    (tmp_path / ".gitlab-ci.yml").write_text("one: {script: [make], rules: [{if: $FLAVOUR}, {changes: [b.txt]}]}\n")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-m", "First")
    address = server.url.replace("//", f"//root:{TOKEN}@")
    _git(tmp_path, "remote", "add", "origin", f"{address}/{project['path_with_namespace']}.git")
    _git(tmp_path, "push", "-o", "ci.skip", "origin", "HEAD:main")
    assert [each["status"] for each in server.pipelines(project["id"])] == ["skipped"]
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
        _git(tmp_path, "add", ".")
        _git(tmp_path, "commit", "-m", name)
        _git(tmp_path, "push", "origin", "HEAD:main")
    assert [each["status"] for each in server.pipelines(project["id"])] == ["pending", "skipped"], "only b.txt counts"
    (tmp_path / "a.txt").write_text("again")
    _git(tmp_path, "commit", "-am", "More")
    _git(tmp_path, "push", "-o", "ci.variable=FLAVOUR=sweet", "origin", "HEAD:main")
    assert len(server.pipelines(project["id"])) == 3
