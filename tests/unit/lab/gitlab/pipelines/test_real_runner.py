"""The real GitLab Runner against the embedded GitLab: shell executor, artifacts, cache, an ID token, a cancellation."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import pytest

from tests.unit.lab.gitlab.pipelines.real_runner import log_of, wait

pytestmark = [pytest.mark.servers, pytest.mark.oracle("GitLab Runner 19.4")]

CONFIG = """
stages: [build, test, deploy]
variables:
  GIT_DEPTH: "5"
build:
  stage: build
  variables: {NOTE: "from $CI_COMMIT_BRANCH"}
  script:
    - git log -1 --format=%H > out.txt
    - echo "$NOTE" >> out.txt
    - mkdir -p .cache && date +%s%N > .cache/stamp
    - echo "VERSION=1.0.$CI_PIPELINE_IID" > build.env
    - echo '<testsuite><testcase name="a" classname="c" time="0.5"/></testsuite>' > junit.xml
    - echo "total coverage 81.5%"
  coverage: '/coverage (\\d+\\.\\d+)%/'
  cache: {key: demo, paths: [.cache]}
  artifacts:
    paths: [out.txt]
    expire_in: 1 day
    reports: {dotenv: build.env, junit: junit.xml}
test:
  stage: test
  id_tokens:
    PROOF: {aud: "https://vault.example"}
  environment: dev
  cache: {key: demo, paths: [.cache], policy: pull}
  script:
    - test "$(head -1 out.txt)" = "$CI_COMMIT_SHA"
    - grep -q "from main" out.txt
    - test -s .cache/stamp
    - test "$VERSION" = "1.0.$CI_PIPELINE_IID"
    - echo "masked $PROOF"
    - printf %s "$PROOF" > proof.jwt
    - curl -sf --header "JOB-TOKEN:$CI_JOB_TOKEN" "$CI_API_V4_URL/job" > job.json
  after_script: [echo after]
  artifacts: {paths: [proof.jwt, job.json]}
"""


def test_a_pipeline_runs(server: Any, project: dict[str, Any], real_runner: Any) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": CONFIG})
    pipeline = wait(server, project["id"], lambda each: each["status"] in {"success", "failed"})
    jobs = server.jobs(project["id"], pipeline["id"])
    log = server.api.get(f"/projects/{project['id']}/jobs/{jobs['test']['id']}/trace").text
    assert pipeline["status"] == "success", log
    assert jobs["build"]["coverage"] == 81.5
    assert jobs["test"]["runner_manager"]["version"] == "19.4.0"
    assert "masked [MASKED]" in log
    assert "after" in log
    report = server.get(f"/projects/{project['id']}/pipelines/{pipeline['id']}/test_report")
    assert (report["total_count"], report["success_count"]) == (1, 1)

    files = f"/projects/{project['id']}/jobs/{jobs['test']['id']}/artifacts"
    assert server.get(f"{files}/job.json")["id"] == jobs["test"]["id"]
    token = server.api.get(f"{files}/proof.jwt").text
    configuration = httpx.get(f"{server.url}/.well-known/openid-configuration").json()
    key = jwt.PyJWKClient(configuration["jwks_uri"]).get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="https://vault.example", issuer=server.url)
    path = project["path_with_namespace"]
    assert claims["sub"] == f"project_path:{path}:ref_type:branch:ref:main"
    assert (claims["project_id"], claims["ref_protected"]) == (str(project["id"]), "true")
    assert (claims["environment"], claims["deployment_tier"]) == ("dev", "development")
    [deployment] = server.get(f"/projects/{project['id']}/deployments")
    assert (deployment["status"], deployment["environment"]["name"]) == ("success", "dev")


def test_a_running_job_is_canceled(server: Any, project: dict[str, Any], real_runner: Any) -> None:
    slow = "slow:\n  script: ['for i in $(seq 60); do echo $i; sleep 1; done']\n  after_script: [echo cleaned up]\n"
    server.commit(project["id"], {".gitlab-ci.yml": slow})
    pipeline = wait(server, project["id"], lambda each: each["status"] == "running")
    job = server.jobs(project["id"], pipeline["id"])["slow"]
    time.sleep(3)
    server.post(f"/projects/{project['id']}/pipelines/{pipeline['id']}/cancel")
    wait(server, project["id"], lambda each: each["status"] == "canceled", seconds=45)
    log = server.api.get(f"/projects/{project['id']}/jobs/{job['id']}/trace").text
    assert "cleaned up" in log


def test_a_merge_request_pipeline_runs_at_its_head(server: Any, project: dict[str, Any], real_runner: Any) -> None:
    config = (
        "look: {script: ['git log -1 --format=%s', 'echo $CI_MERGE_REQUEST_IID'], rules: [{if: $CI_MERGE_REQUEST_IID}]}"
    )
    server.commit(project["id"], {".gitlab-ci.yml": config})
    server.commit(project["id"], {"a": "b"}, message="Only here", branch="feature")
    place = f"/projects/{project['id']}/merge_requests"
    server.post(place, source_branch="feature", target_branch="main", title="One")
    server.put(f"{place}/1/merge", auto_merge=True)
    deadline = time.monotonic() + 60
    while server.get(f"{place}/1")["state"] != "merged":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    log = log_of(server, project["id"], server.get(f"{place}/1/pipelines")[0]["id"], "look")
    assert "Only here" in log
    assert "refs/merge-requests/1/head" in log


def test_a_schedule_runs_in_a_freeze(server: Any, project: dict[str, Any], real_runner: Any) -> None:
    base = f"/projects/{project['id']}"
    config = "say: {script: ['echo \"$CI_PIPELINE_SOURCE, frozen: $CI_DEPLOY_FREEZE, $WHY\"']}"
    server.commit(project["id"], {".gitlab-ci.yml": config}, message="Begin [skip ci]")
    server.post(f"{base}/freeze_periods", freeze_start="* * * * *", freeze_end="0 0 1 1 *")
    one = server.post(f"{base}/pipeline_schedules", description="x", ref="main", cron="0 1 * * *")["id"]
    server.post(f"{base}/pipeline_schedules/{one}/variables", key="WHY", value="because")
    server.post(f"{base}/pipeline_schedules/{one}/play")
    pipeline = wait(server, project["id"], lambda each: each["status"] in {"success", "failed"})
    assert "schedule, frozen: true, because" in log_of(server, project["id"], pipeline["id"], "say")


def test_retries_and_redundant_pipelines(server: Any, project: dict[str, Any], real_runner: Any) -> None:
    slow = "slow: {script: ['sleep 60'], interruptible: true}\n"
    server.commit(project["id"], {".gitlab-ci.yml": slow})
    first = wait(server, project["id"], lambda each: each["status"] == "running")
    flaky = "flaky: {script: ['exit 42'], retry: {max: 1, exit_codes: [42]}, allow_failure: {exit_codes: [42]}}\n"
    server.commit(project["id"], {".gitlab-ci.yml": flaky})
    pipeline = wait(server, project["id"], lambda each: each["status"] in {"success", "failed"})
    assert pipeline["status"] == "success"
    tries = server.get(f"/projects/{project['id']}/pipelines/{pipeline['id']}/jobs", include_retried=True)
    assert [each["status"] for each in tries] == ["failed", "failed"]
    assert server.get(f"/projects/{project['id']}/pipelines/{first['id']}")["status"] in {"canceled", "canceling"}
