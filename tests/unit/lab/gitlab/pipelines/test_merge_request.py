"""Merge requests and their pipelines, as a team works with them; by the API and by git."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from infra.lab.gitlab.push import RefChange, settle
from tests.unit.lab.gitlab.pipelines.test_creation import _user
from tests.unit.lab.gitlab.pipelines.test_pages import _signed_in

CONFIG = """
workflow:
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $CI_COMMIT_BRANCH && $CI_OPEN_MERGE_REQUESTS
      when: never
    - if: $CI_COMMIT_BRANCH
test: {script: [make]}
docs: {script: [make], rules: [{changes: [docs/*]}]}
"""


@pytest.fixture
def base(server: Any, project: dict[str, Any]) -> str:
    """The project's address, after a first commit on main and one on `feature`."""
    server.commit(project["id"], {".gitlab-ci.yml": CONFIG, "a": "1\n", "docs/x": "x\n"}, message="Begin [skip ci]")
    server.commit(project["id"], {"b": "2\n"}, branch="feature", message="Add b")
    return f"/projects/{project['id']}"


def _open(server: Any, base: str, source: str = "feature", **more: Any) -> dict[str, Any]:
    body = {"source_branch": source, "target_branch": "main", "title": f"Merge {source}", **more}
    return dict(server.post(f"{base}/merge_requests", **body))


def _more(server: Any, base: str, path: str, content: str = "more", branch: str = "feature", **extra: Any) -> str:
    body = {"branch": branch, "content": content, "commit_message": f"Change {path}", **extra}
    file = f"{base}/repository/files/{quote(path, safe='')}"
    there = server.api.head(file, params={"ref": branch}).is_success
    answer = server.api.request("PUT" if there else "POST", file, json=body)
    assert answer.is_success, answer.text
    return str(server.get(f"{base}/repository/branches/{branch}")["commit"]["id"])


def _variables(job: dict[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in job["variables"]}


def test_what_a_merge_request_says(server: Any, base: str) -> None:
    made = _open(server, base, description="words", labels="one,two", remove_source_branch=True)
    assert (made["iid"], made["state"], made["reference"], made["labels"]) == (1, "opened", "!1", ["one", "two"])
    assert (made["detailed_merge_status"], made["has_conflicts"], made["changes_count"]) == ("mergeable", False, "1")
    assert made["force_remove_source_branch"] is True
    assert made["diff_refs"]["head_sha"] == made["sha"]
    one = f"{base}/merge_requests/1"
    assert server.get(one)["user"] == {"can_merge": True}
    assert [each["title"] for each in server.get(f"{one}/commits")] == ["Add b"]
    assert [each["new_path"] for each in server.get(f"{one}/changes")["changes"]] == ["b"]
    assert [each["diff"] for each in server.get(f"{one}/diffs")] == ["@@ -0,0 +1 @@\n+2\n"]
    assert [each["username"] for each in server.get(f"{one}/participants")] == ["root"]
    assert [each["iid"] for each in server.get(f"{base}/merge_requests", state="opened", source_branch="feature")] == [
        1
    ]
    assert server.get(f"{base}/merge_requests", state="merged") == []


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        pytest.param({"source_branch": "nowhere"}, 422, r"Source branch \"nowhere\" does not exist", id="no-source"),
        pytest.param({"source_branch": "main"}, 422, "You can't use same project/branch", id="same"),
        pytest.param({"title": " "}, 400, "can't be blank", id="no-title"),
        pytest.param({}, 409, "Another open merge request already exists for this source branch: !1", id="twice"),
    ],
)
def test_one_that_cannot_be_opened(server: Any, base: str, given: dict[str, str], code: int, text: str) -> None:
    _open(server, base)
    body = {"source_branch": "feature", "target_branch": "main", "title": "x", **given}
    answer = server.api.post(f"{base}/merge_requests", json=body)
    assert (answer.status_code, text in answer.text) == (code, True), answer.text


def test_pipelines_follow_the_source_branch(server: Any, project: dict[str, Any], base: str) -> None:
    [branch, skipped] = server.pipelines(project["id"])
    assert skipped["status"] == "skipped"
    assert branch["source"] == "push"
    made = _open(server, base)
    one = f"{base}/merge_requests/1"
    [own, before] = server.get(f"{one}/pipelines")
    assert (own["source"], own["ref"], before["id"]) == (
        "merge_request_event",
        "refs/merge-requests/1/head",
        branch["id"],
    )
    assert server.get(one)["head_pipeline"]["id"] == own["id"]
    head = _more(server, base, "c")
    # The branch has an open merge request: the workflow's rules make one pipeline, not two.
    newest = server.pipelines(project["id"])[0]
    assert (newest["sha"], newest["source"]) == (head, "merge_request_event")
    assert server.pipelines(project["id"])[1]["id"] == own["id"]
    assert server.get(one)["sha"] == head != made["sha"]
    again = server.post(f"{one}/pipelines")
    assert (again["source"], again["sha"], again["before_sha"]) == ("merge_request_event", head, "0" * 40)


def test_changes_are_those_since_the_merge_base(server: Any, project: dict[str, Any], base: str) -> None:
    _more(server, base, "docs/x", "moved on", branch="main")
    _open(server, base)
    [newest, *_] = server.pipelines(project["id"])
    assert list(server.states(project["id"], newest["id"])) == ["test"]
    _more(server, base, "docs/y")
    _more(server, base, "d")
    [newest, *_] = server.pipelines(project["id"])
    assert sorted(server.states(project["id"], newest["id"])) == ["docs", "test"], "docs/y changed two pushes ago"


def test_what_jobs_are_told(server: Any, project: dict[str, Any], base: str, new_runner: Callable[..., Any]) -> None:
    server.post(f"{base}/variables", key="GUARDED", value="secret-value", protected=True)
    server.post(f"{base}/protected_branches", name="feature")
    config = "test: {script: [make], id_tokens: {PROOF: {aud: x}}, rules: [{if: $CI_MERGE_REQUEST_IID}]}\n"
    head = _more(server, base, ".gitlab-ci.yml", config)
    _open(server, base, title="Draft: one", description="words")
    runner = new_runner(project["id"])
    while (told := _variables(job := runner.take()))["CI_PIPELINE_SOURCE"] == "push":
        pass
    path = project["path_with_namespace"]
    assert "GUARDED" not in told
    assert "CI_COMMIT_BRANCH" not in told
    expected = {
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_COMMIT_SHA": head,
        "CI_COMMIT_REF_NAME": "feature",
        "CI_COMMIT_REF_PROTECTED": "false",
        "CI_MERGE_REQUEST_IID": "1",
        "CI_MERGE_REQUEST_TITLE": "Draft: one",
        "CI_MERGE_REQUEST_DESCRIPTION": "words",
        "CI_MERGE_REQUEST_DRAFT": "true",
        "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
        "CI_MERGE_REQUEST_REF_PATH": "refs/merge-requests/1/head",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED": "true",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_PROJECT_PATH": path,
        "CI_OPEN_MERGE_REQUESTS": f"{path}!1",
    }
    assert {key: told.get(key) for key in expected} == expected
    assert told["CI_MERGE_REQUEST_DIFF_BASE_SHA"] == server.get(f"{base}/merge_requests/1")["diff_refs"]["base_sha"]
    info = job["git_info"]
    assert (info["ref"], info["ref_type"], info["protected"]) == ("refs/merge-requests/1/head", "branch", False)
    assert info["refspecs"] == [f"+{head}:refs/pipelines/{job['job_info']['pipeline_id']}"]
    claims = json.loads(base64.urlsafe_b64decode(told["PROOF"].split(".")[1] + "=="))
    wanted = ("feature", "branch", "refs/heads/feature", "false", "merge_request_event")
    assert tuple(claims[key] for key in ("ref", "ref_type", "ref_path", "ref_protected", "pipeline_source")) == wanted
    assert claims["sub"] == f"project_path:{path}:ref_type:branch:ref:feature"


def test_merging(server: Any, base: str, project: dict[str, Any]) -> None:
    made = _open(server, base, remove_source_branch=True)
    one = f"{base}/merge_requests/1"
    wrong = server.api.put(f"{one}/merge", json={"sha": "0" * 40})
    assert (wrong.status_code, wrong.json()["message"]) == (
        409,
        f"SHA does not match HEAD of source branch: {made['sha']}",
    )
    merged = server.put(f"{one}/merge", sha=made["sha"])
    assert (merged["state"], merged["merged_by"]["username"], merged["merge_error"]) == ("merged", "root", None)
    tip = server.get(f"{base}/repository/commits/main")
    assert tip["id"] == merged["merge_commit_sha"]
    assert tip["title"] == "Merge branch 'feature' into 'main'"
    assert f"See merge request {project['path_with_namespace']}!1" in tip["message"]
    assert tip["parent_ids"][1] == made["sha"]
    assert server.api.get(f"{base}/repository/branches/feature").status_code == 404
    assert server.api.put(f"{one}/merge").status_code == 405
    [newest, *_] = server.pipelines(project["id"])
    assert (newest["ref"], newest["source"], newest["sha"]) == ("main", "push", tip["id"])
    assert [each["title"] for each in server.get(f"{one}/commits")] == ["Add b"], "its commits stay its commits"


def test_squash_and_fast_forward(server: Any, base: str) -> None:
    _more(server, base, "c")
    _open(server, base)
    merged = server.put(f"{base}/merge_requests/1/merge", squash=True, squash_commit_message="All of it")
    squashed = server.get(f"{base}/repository/commits/{merged['squash_commit_sha']}")
    assert (squashed["title"], len(squashed["parent_ids"])) == ("All of it", 1)
    server.put(base, merge_method="ff")
    server.commit(int(base.rsplit("/", 1)[1]), {"d": "x"}, branch="second")
    head = _open(server, base, "second")["sha"]
    assert server.put(f"{base}/merge_requests/2/merge")["state"] == "merged"
    assert server.get(f"{base}/repository/commits/main")["id"] == head
    server.commit(int(base.rsplit("/", 1)[1]), {"e": "x"}, branch="third")
    _more(server, base, "a", "moved on", branch="main")
    assert _open(server, base, "third")["detailed_merge_status"] == "need_rebase"
    assert server.api.put(f"{base}/merge_requests/3/merge").status_code == 422
    assert server.api.put(f"{base}/merge_requests/3/rebase").status_code == 202
    assert server.get(f"{base}/merge_requests/3")["detailed_merge_status"] == "mergeable"
    assert server.put(f"{base}/merge_requests/3/merge")["state"] == "merged"


def test_a_conflict(server: Any, base: str) -> None:
    _more(server, base, "a", "ours\n")
    _more(server, base, "a", "theirs\n", branch="main")
    made = _open(server, base)
    one = f"{base}/merge_requests/1"
    assert (made["detailed_merge_status"], made["has_conflicts"]) == ("conflict", True)
    assert made["merge_status"] == "cannot_be_merged"
    answer = server.api.put(f"{one}/merge")
    assert (answer.status_code, answer.json()) == (422, {"message": "Branch cannot be merged"})
    assert server.api.get(f"{one}/merge_ref").status_code == 400
    assert server.api.put(f"{one}/rebase").status_code == 202
    assert "Rebase failed" in server.get(one)["merge_error"]


def test_a_draft_and_a_closed_one_do_not_merge(server: Any, base: str) -> None:
    _open(server, base, title="Draft: wait")
    one = f"{base}/merge_requests/1"
    assert server.get(one)["detailed_merge_status"] == "draft_status"
    assert server.api.put(f"{one}/merge").status_code == 405
    closed = server.put(one, title="Go", state_event="close")
    assert (closed["state"], closed["closed_by"]["username"]) == ("closed", "root")
    assert server.api.put(f"{one}/merge").status_code == 405
    assert server.put(one, state_event="reopen")["detailed_merge_status"] == "mergeable"
    assert server.api.delete(f"{base}/repository/branches/feature").status_code == 204
    assert server.get(one)["state"] == "closed"


def test_the_pipeline_must_succeed(server: Any, base: str, runner: Any) -> None:
    server.put(base, only_allow_merge_if_pipeline_succeeds=True)
    one = f"{base}/merge_requests/1"
    assert _open(server, base)["detailed_merge_status"] == "ci_still_running"
    assert server.api.put(f"{one}/merge").status_code == 405
    while (answer := runner.request()).status_code == 201:
        runner.finish(answer.json(), "failed", failure_reason="script_failure")
    assert server.get(one)["detailed_merge_status"] == "ci_must_pass"
    assert server.api.put(f"{one}/merge").status_code == 405
    server.post(f"{base}/pipelines/{server.get(one)['head_pipeline']['id']}/retry")
    runner.finish(runner.take("test"))
    assert server.put(f"{one}/merge")["state"] == "merged"


def test_merging_by_itself(server: Any, base: str, runner: Any) -> None:
    _open(server, base)
    one = f"{base}/merge_requests/1"
    assert server.api.post(f"{one}/cancel_merge_when_pipeline_succeeds").status_code == 406
    for name in ("merge_when_pipeline_succeeds", "auto_merge"):
        waits = server.put(f"{one}/merge", **{name: True, "merge_commit_message": "By itself"})
        assert (waits["state"], waits["merge_when_pipeline_succeeds"]) == ("opened", True)
        assert server.post(f"{one}/cancel_merge_when_pipeline_succeeds") == {"status": "success"}
        assert server.get(one)["merge_when_pipeline_succeeds"] is False
    server.put(f"{one}/merge", auto_merge=True)
    _more(server, base, "c")
    assert server.get(one)["merge_when_pipeline_succeeds"] is False, "nobody has agreed to the new commit"
    server.put(f"{one}/merge", auto_merge=True, merge_commit_message="By itself")
    while (answer := runner.request()).status_code == 201:
        runner.finish(answer.json())
    deadline = time.monotonic() + 20
    while server.get(one)["state"] != "merged":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert server.get(f"{base}/repository/commits/main")["title"] == "By itself"


def test_commits_that_come_by_git_close_it_as_merged(server: Any, base: str) -> None:
    head = _open(server, base)["sha"]
    server.api.delete(f"{base}/protected_branches/main")
    # A push of the source branch's head to main, as `git push origin feature:main` does.
    project = int(base.rsplit("/", 1)[1])
    repository = server.instance.repository(project)
    before = repository.branch("main").sha
    repository.move_ref("refs/heads/main", head, before)
    settle(server.instance, project, [RefChange(ref="refs/heads/main", before=before, after=head)], user_id=1)
    shown = server.get(f"{base}/merge_requests/1")
    assert (shown["state"], shown["merge_commit_sha"], shown["merge_user"]["id"]) == ("merged", head, 1)


def test_who_may_what(server: Any, base: str) -> None:
    _open(server, base)
    one = f"{base}/merge_requests/1"
    user, client = _user(server, f"mr-{base.rsplit('/', 1)[1]}")
    with client:
        assert client.get(one).status_code == 404
        server.post(f"{base}/members", user_id=user, access_level=20)
        assert client.get(one).status_code == 200
        assert client.put(one, json={"title": "mine"}).status_code == 403
        assert client.put(f"{one}/merge").status_code == 401
        server.put(f"{base}/members/{user}", access_level=30)
        assert client.put(one, json={"title": "mine"}).status_code == 200
        assert client.put(f"{one}/merge").status_code == 401, "main is protected, and for maintainers"
        assert client.delete(one).status_code == 403
        server.api.delete(f"{base}/protected_branches/main")
        server.post(f"{base}/protected_branches", name="main", push_access_level=0, merge_access_level=30)
        assert client.put(f"{one}/merge").json()["state"] == "merged"
        refused = client.post(
            f"{base}/repository/commits", json={"branch": "main", "commit_message": "x", "actions": []}
        )
        assert refused.status_code == 403


def test_approvals_are_refused(server: Any, base: str) -> None:
    _open(server, base)
    answer = server.api.post(f"{base}/merge_requests/1/approve")
    assert (answer.status_code, "approve is not part of the embedded GitLab" in answer.text) == (501, True)


def test_pages(server: Any, base: str, project: dict[str, Any]) -> None:
    _open(server, base, title="<b>bold</b>")
    place = f"/{project['path_with_namespace']}/-/merge_requests"
    with _signed_in(server) as client:
        listed = client.get(place).text
        assert "&lt;b&gt;bold&lt;/b&gt;" in listed
        assert "feature → main" in listed
        page = client.get(f"{place}/1").text
        pipeline = server.get(f"{base}/merge_requests/1")["head_pipeline"]["id"]
        assert f"/-/pipelines/{pipeline}" in page
        assert "Add b" in page
        assert client.get(f"{place}/2").status_code == 404
    assert "Sign in" in httpx.get(f"{server.url}{place}", follow_redirects=True).text
