"""How a pipeline moves, as a runner and a person see it: stages, needs, retries, manual jobs, environments."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from infra.lab.gitlab.pipelines.watch import Watch
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.job import Job

TWO = "stages: [a, b]\none: {stage: a, script: [x]}\ntwo: {stage: b, script: [y]}\n"


def _start(server: Any, project: dict[str, Any], config: str) -> int:
    server.commit(project["id"], {".gitlab-ci.yml": config})
    return int(server.pipelines(project["id"])[0]["id"])


def test_push_to_green(server: Any, project: dict[str, Any], runner: Any) -> None:
    sha = server.commit(project["id"], {".gitlab-ci.yml": TWO})
    [pipeline] = server.pipelines(project["id"])
    assert (pipeline["sha"], pipeline["status"], pipeline["source"], pipeline["iid"]) == (sha, "pending", "push", 1)
    assert server.states(project["id"], pipeline["id"]) == {"one": "pending", "two": "created"}
    one = runner.take("one")
    assert server.states(project["id"], pipeline["id"]) == {"one": "running", "two": "created"}
    assert runner.request().status_code == 204
    runner.finish(one, log=b"hi\n")
    runner.finish(runner.take("two"))
    shown = server.get(f"/projects/{project['id']}/pipelines/{pipeline['id']}")
    assert (shown["status"], shown["detailed_status"]["label"]) == ("success", "passed")
    assert shown["finished_at"] is not None
    assert isinstance(shown["duration"], int)
    job = server.get(f"/projects/{project['id']}/jobs/{one['id']}")
    assert job["commit"]["id"] == sha
    assert {each["file_type"] for each in job["artifacts"]} == {"trace"}


def test_a_job_is_there_as_soon_as_its_push_is_answered(server: Any, project: dict[str, Any], runner: Any) -> None:
    assert runner.request().status_code == 204
    server.commit(project["id"], {".gitlab-ci.yml": TWO})
    runner.take("one")  # It asks once.


def test_failure_skips_what_follows(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _start(server, project, TWO + "clean: {stage: b, script: [z], when: on_failure}\n")
    runner.finish(runner.take("one"), "failed", failure_reason="script_failure", exit_code=2)
    assert server.states(project["id"], pipeline) == {"one": "failed", "two": "skipped", "clean": "pending"}
    runner.finish(runner.take("clean"))
    assert server.get(f"/projects/{project['id']}/pipelines/{pipeline}")["status"] == "failed"
    assert server.jobs(project["id"], pipeline)["one"]["failure_reason"] == "script_failure"


def test_unknown_failure_reason(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _start(server, project, TWO)
    runner.finish(runner.take("one"), "failed", failure_reason="something_new")
    assert server.jobs(project["id"], pipeline)["one"]["failure_reason"] == "unknown_failure"


@pytest.mark.parametrize(("exit_code", "status"), [(42, "success"), (1, "failed")], ids=["allowed", "not-allowed"])
def test_allowed_exit_codes(server: Any, project: dict[str, Any], runner: Any, exit_code: int, status: str) -> None:
    pipeline = _start(server, project, "one: {script: [x], allow_failure: {exit_codes: [42]}}\n")
    runner.finish(runner.take("one"), "failed", failure_reason="script_failure", exit_code=exit_code)
    shown = server.get(f"/projects/{project['id']}/pipelines/{pipeline}")
    assert shown["status"] == status
    assert (shown["detailed_status"]["label"] == "passed with warnings") == (status == "success")


def test_needs_start_early(server: Any, project: dict[str, Any], runner: Any) -> None:
    config = TWO + "slow: {stage: a, script: [s]}\nearly: {stage: b, script: [e], needs: [one]}\n"
    pipeline = _start(server, project, config)
    one, slow = runner.take("one"), runner.take("slow")
    runner.finish(one)
    assert server.states(project["id"], pipeline)["early"] == "pending"
    assert server.states(project["id"], pipeline)["two"] == "created"
    runner.finish(slow)
    assert server.states(project["id"], pipeline)["two"] == "pending"


def test_retry_keyword(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _start(server, project, "one: {script: [x], retry: 1}\n")
    first = runner.take("one")
    runner.finish(first, "failed", failure_reason="script_failure")
    second = runner.take("one")
    assert second["id"] != first["id"]
    assert server.get(f"/projects/{project['id']}/pipelines/{pipeline}")["status"] == "running"
    runner.finish(second, "failed", failure_reason="script_failure")
    assert server.get(f"/projects/{project['id']}/pipelines/{pipeline}")["status"] == "failed"
    path = f"/projects/{project['id']}/pipelines/{pipeline}/jobs"
    assert [job["id"] for job in server.get(path)] == [second["id"]]
    assert len(server.get(path, include_retried=True)) == 2


def test_retry_only_for_some_reasons(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _start(server, project, "one: {script: [x], retry: {max: 2, when: runner_system_failure}}\n")
    runner.finish(runner.take("one"), "failed", failure_reason="script_failure")
    assert server.states(project["id"], pipeline) == {"one": "failed"}


def test_retry_by_hand(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _start(server, project, TWO)
    one = runner.take("one")
    base = f"/projects/{project['id']}"
    assert server.api.post(f"{base}/jobs/{one['id']}/retry").status_code == 403
    runner.finish(one, "failed", failure_reason="script_failure")
    again = server.post(f"{base}/jobs/{one['id']}/retry")
    assert again["id"] != one["id"]
    assert server.states(project["id"], pipeline) == {"one": "pending", "two": "created"}
    runner.finish(runner.take("one"))
    runner.finish(runner.take("two"), "failed", failure_reason="script_failure")
    assert server.post(f"{base}/pipelines/{pipeline}/retry")["status"] in {"pending", "running"}
    runner.finish(runner.take("two"))
    assert server.get(f"{base}/pipelines/{pipeline}")["status"] == "success"


def test_cancel_pipeline(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _start(server, project, TWO)
    assert server.post(f"/projects/{project['id']}/pipelines/{pipeline}/cancel")["status"] == "canceled"
    assert server.states(project["id"], pipeline) == {"one": "canceled", "two": "canceled"}
    assert runner.request().status_code == 204


def test_manual_job(server: Any, project: dict[str, Any], runner: Any) -> None:
    gate = "gate: {stage: a, script: [x], when: manual, allow_failure: false}\n"
    config = "stages: [a, b]\ntwo: {stage: b, script: [y]}\n" + gate
    pipeline = _start(server, project, config)
    assert server.states(project["id"], pipeline) == {"gate": "manual", "two": "created"}
    assert server.get(f"/projects/{project['id']}/pipelines/{pipeline}")["status"] == "manual"
    path = f"/projects/{project['id']}/jobs/{server.jobs(project['id'], pipeline)['gate']['id']}/play"
    server.post(path, 200, job_variables_attributes=[{"key": "WHO", "value": "me"}])
    assert server.api.post(path).json() == {"message": "400 Bad request - Unplayable Job"}
    job = runner.take("gate")
    variables = {each["key"]: each["value"] for each in job["variables"]}
    assert (variables["WHO"], variables["CI_JOB_MANUAL"]) == ("me", "true")
    runner.finish(job)
    assert server.states(project["id"], pipeline)["two"] == "pending"


def test_delayed_job(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _start(server, project, "one: {script: [x], when: delayed, start_in: 30 minutes}\n")
    job = server.jobs(project["id"], pipeline)["one"]
    assert job["status"] == "scheduled"
    watch = Watch(server.instance)
    watch.start_delayed()
    assert server.states(project["id"], pipeline) == {"one": "scheduled"}
    with server.instance.store.write() as session:
        session.get_one(Job, job["id"]).scheduled_at = now() - timedelta(seconds=1)
    watch.start_delayed()
    runner.take("one")


def test_resource_group(server: Any, project: dict[str, Any], runner: Any) -> None:
    config = "one: {script: [x], resource_group: prod}\ntwo: {script: [x], resource_group: prod}\n"
    pipeline = _start(server, project, config)
    states = server.states(project["id"], pipeline)
    assert sorted(states.values()) == ["pending", "waiting_for_resource"]
    first = runner.take()
    assert runner.request().status_code == 204
    runner.finish(first, "failed", failure_reason="script_failure")
    runner.finish(runner.take())
    assert runner.request().status_code == 204


def test_environment(server: Any, project: dict[str, Any], runner: Any) -> None:
    config = """
deploy:
  script: [x]
  environment: {name: review/$CI_COMMIT_BRANCH, url: "https://$CI_ENVIRONMENT_SLUG.example", on_stop: stop}
stop:
  script: [y]
  when: manual
  environment: {name: review/$CI_COMMIT_BRANCH, action: stop}
"""
    _start(server, project, config)
    base = f"/projects/{project['id']}"
    [environment] = server.get(f"{base}/environments")
    assert (environment["name"], environment["state"], environment["tier"]) == (
        "review/main",
        "available",
        "development",
    )
    assert server.get(f"{base}/deployments") == []
    job = runner.take("deploy")
    variables = {each["key"]: each["value"] for each in job["variables"]}
    assert (variables["CI_ENVIRONMENT_NAME"], variables["CI_ENVIRONMENT_ACTION"]) == ("review/main", "start")
    [deployment] = server.get(f"{base}/deployments", environment="review/main")
    assert (deployment["status"], deployment["iid"], deployment["deployable"]["id"]) == ("running", 1, job["id"])
    runner.finish(job)
    shown = server.get(f"{base}/environments/{environment['id']}")
    assert shown["last_deployment"]["status"] == "success"
    assert shown["external_url"] == f"https://{environment['slug']}.example"
    assert server.api.delete(f"{base}/environments/{environment['id']}").status_code == 403
    assert server.post(f"{base}/environments/{environment['id']}/stop")["state"] == "stopping"
    runner.finish(runner.take("stop"))
    assert server.get(f"{base}/environments/{environment['id']}")["state"] == "stopped"
    assert server.api.delete(f"{base}/environments/{environment['id']}").status_code == 204


def test_environments_and_deployments_by_the_api(server: Any, project: dict[str, Any]) -> None:
    sha = server.commit(project["id"], {"README": "x"})
    base = f"/projects/{project['id']}"
    made = server.post(f"{base}/environments", name="production", external_url="https://example.com")
    assert (made["tier"], made["slug"]) == ("production", "production")
    taken = server.api.post(f"{base}/environments", json={"name": "production"})
    assert (taken.status_code, "has already been taken" in taken.text) == (400, True)
    assert server.api.post(f"{base}/environments", json={"name": "a b!"}).status_code == 400
    assert server.put(f"{base}/environments/{made['id']}", tier="staging")["tier"] == "staging"
    assert len(server.get(f"{base}/environments", search="prod")) == 1
    body = {"environment": "production", "sha": sha, "ref": "main", "tag": False, "status": "running"}
    deployment = server.post(f"{base}/deployments", **body)
    assert server.api.delete(f"{base}/deployments/{deployment['id']}").status_code == 400
    assert server.put(f"{base}/deployments/{deployment['id']}", status="success")["status"] == "success"
    assert server.api.put(f"{base}/deployments/{deployment['id']}", json={"status": "failed"}).status_code == 400
    assert server.get(f"{base}/environments/{made['id']}")["last_deployment"]["id"] == deployment["id"]


def test_erase(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _start(server, project, TWO)
    job = runner.take("one")
    path = f"/projects/{project['id']}/jobs/{job['id']}"
    assert server.api.post(f"{path}/erase").status_code == 403
    runner.finish(job, log=b"secret")
    assert server.post(f"{path}/erase")["erased_at"] is not None
    assert server.api.get(f"{path}/trace").text == ""
    two = runner.request()
    assert two.status_code == 204, "its dependency is gone"
    assert server.jobs(project["id"], pipeline)["two"]["failure_reason"] == "missing_dependency_failure"


def test_lists_are_filtered(server: Any, project: dict[str, Any], runner: Any) -> None:
    _start(server, project, TWO)
    runner.finish(runner.take("one"))
    base = f"/projects/{project['id']}"
    assert [job["name"] for job in server.get(f"{base}/jobs", **{"scope[]": ["pending"]})] == ["two"]
    assert server.api.get(f"{base}/jobs", params={"scope[]": "nonsense"}).status_code == 400
    assert server.get(f"{base}/pipelines", status="success") == []
    assert len(server.get(f"{base}/pipelines", ref="main", username="root", source="push")) == 1
    pipeline = server.pipelines(project["id"])[0]["id"]
    assert server.get(f"{base}/pipelines/{pipeline}/bridges") == []
    assert server.api.get(f"{base}/pipelines/999999").status_code == 404


def test_runners_are_managed(server: Any, project: dict[str, Any], runner: Any) -> None:
    runner.request()
    [shown] = server.get(f"/projects/{project['id']}/runners", type="project_type")
    assert (shown["online"], shown["runner_type"]) == (True, "project_type")
    changed = server.put(f"/runners/{shown['id']}", tag_list=["x"], run_untagged=False, description="d")
    assert (changed["tag_list"], changed["run_untagged"]) == (["x"], False)
    assert server.api.put(f"/runners/{shown['id']}", json={"tag_list": []}).status_code == 400
    assert server.api.put(f"/runners/{shown['id']}", json={"maximum_timeout": 5}).status_code == 400
    assert server.get(f"/runners/{shown['id']}/managers")[0]["version"] == "19.4.0"
    assert shown["id"] in {each["id"] for each in server.get("/runners/all", per_page=100)}
    other = server.post("/projects", name=f"{project['name']}-other")
    assert server.post(f"/projects/{other['id']}/runners", runner_id=shown["id"])["id"] == shown["id"]
    assert server.api.post(f"/projects/{other['id']}/runners", json={"runner_id": shown["id"]}).status_code == 400
    assert server.api.delete(f"/projects/{other['id']}/runners/{shown['id']}").status_code == 204
    assert server.api.delete(f"/projects/{project['id']}/runners/{shown['id']}").status_code == 403
    reset = server.post(f"/runners/{shown['id']}/reset_authentication_token")
    assert reset["token"] != runner.token
    assert server.api.delete(f"/runners/{shown['id']}").status_code == 204
    assert server.api.get(f"/runners/{shown['id']}").status_code == 404


def test_openid_documents(server: Any) -> None:
    configuration = httpx.get(f"{server.url}/.well-known/openid-configuration").json()
    assert configuration["issuer"] == server.url
    [key] = httpx.get(configuration["jwks_uri"]).json()["keys"]
    assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig")
    assert "d" not in key
