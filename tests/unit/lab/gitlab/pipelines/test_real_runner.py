"""The real GitLab Runner against the embedded GitLab: shell executor, artifacts, cache, an ID token, a cancellation."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from infra.core.settings import load_settings

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


def _binary() -> Path:
    cache = load_settings(os.environ).cache
    found = sorted((cache / "tools" / "gitlab-runner").glob("*/bin/gitlab-runner"))
    if not found:
        pytest.skip("the GitLab Runner is not in the tools cache: run `forgeline up` or the toolchain first")
    return found[-1]


@pytest.fixture
def real_runner(
    server: Any, project: dict[str, Any], tmp_path: Path
) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Registers the real runner for the project and runs it until the test ends."""
    binary = _binary()
    token = server.post("/user/runners", runner_type="project_type", project_id=project["id"])["token"]
    config = tmp_path / "config.toml"
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    register = [str(binary), "register", "--non-interactive", "--config", str(config), "--url", server.url]
    folders = ["--builds-dir", str(tmp_path / "builds"), "--cache-dir", str(tmp_path / "cache")]
    registered = subprocess.run(
        [*register, "--token", token, "--executor", "shell", *folders],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert registered.returncode == 0, registered.stderr
    config.write_text(config.read_text().replace("check_interval = 0", "check_interval = 1"))
    with (tmp_path / "runner.log").open("wb") as log:
        process = subprocess.Popen(
            [str(binary), "run", "--config", str(config), "--working-directory", str(tmp_path)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        yield lambda: process
        process.terminate()
        process.wait(timeout=30)


def _wait(server: Any, project: int, until: Callable[[dict[str, Any]], bool], seconds: float = 120) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        [latest, *_] = server.pipelines(project)
        if until(latest):
            return dict(latest)
        time.sleep(0.2)
    states = server.states(project, latest["id"])
    logs = {
        name: server.api.get(f"/projects/{project}/jobs/{job['id']}/trace").text[-3000:]
        for name, job in server.jobs(project, latest["id"]).items()
    }
    raise AssertionError(
        f"{latest['status']} {states}\n" + "\n".join(f"--- {name}\n{log}" for name, log in logs.items())
    )


def test_a_pipeline_runs(server: Any, project: dict[str, Any], real_runner: Any) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": CONFIG})
    pipeline = _wait(server, project["id"], lambda each: each["status"] in {"success", "failed"})
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
    pipeline = _wait(server, project["id"], lambda each: each["status"] == "running")
    job = server.jobs(project["id"], pipeline["id"])["slow"]
    time.sleep(3)
    server.post(f"/projects/{project['id']}/pipelines/{pipeline['id']}/cancel")
    _wait(server, project["id"], lambda each: each["status"] == "canceled", seconds=45)
    log = server.api.get(f"/projects/{project['id']}/jobs/{job['id']}/trace").text
    assert "cleaned up" in log


def _log(server: Any, project: int, pipeline: int, name: str) -> str:
    job = server.jobs(project, pipeline)[name]
    return str(server.api.get(f"/projects/{project}/jobs/{job['id']}/trace").text)


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
    log = _log(server, project["id"], server.get(f"{place}/1/pipelines")[0]["id"], "look")
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
    pipeline = _wait(server, project["id"], lambda each: each["status"] in {"success", "failed"})
    assert "schedule, frozen: true, because" in _log(server, project["id"], pipeline["id"], "say")


def test_retries_and_redundant_pipelines(server: Any, project: dict[str, Any], real_runner: Any) -> None:
    slow = "slow: {script: ['sleep 60'], interruptible: true}\n"
    server.commit(project["id"], {".gitlab-ci.yml": slow})
    first = _wait(server, project["id"], lambda each: each["status"] == "running")
    flaky = "flaky: {script: ['exit 42'], retry: {max: 1, exit_codes: [42]}, allow_failure: {exit_codes: [42]}}\n"
    server.commit(project["id"], {".gitlab-ci.yml": flaky})
    pipeline = _wait(server, project["id"], lambda each: each["status"] in {"success", "failed"})
    assert pipeline["status"] == "success"
    tries = server.get(f"/projects/{project['id']}/pipelines/{pipeline['id']}/jobs", include_retried=True)
    assert [each["status"] for each in tries] == ["failed", "failed"]
    assert server.get(f"/projects/{project['id']}/pipelines/{first['id']}")["status"] in {"canceled", "canceling"}
