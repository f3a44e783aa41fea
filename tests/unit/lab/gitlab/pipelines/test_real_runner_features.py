"""What the real GitLab Runner is needed for: how jobs follow one another, what they are given, what they may reach."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest

from tests.unit.lab.gitlab.pipelines.conftest import Server
from tests.unit.lab.gitlab.pipelines.real_runner import RealRunner, log_of, wait

pytestmark = [pytest.mark.servers, pytest.mark.oracle("GitLab Runner 19.4")]

ENDED = {"success", "failed", "canceled", "skipped"}

GREEN = """
stages: [build, test, deploy]
sized:
  stage: build
  parallel: {matrix: [{SIZE: [small, large], COLOUR: [red]}]}
  cache: {key: stamp, paths: [.cache]}
  script:
    - mkdir -p .cache && echo kept > .cache/stamp
    - 'echo "$SIZE $COLOUR" > out-$SIZE.txt'
  artifacts: {paths: ["out-*.txt"]}
numbered: {stage: build, parallel: 2, script: ['echo "part $CI_NODE_INDEX of $CI_NODE_TOTAL"']}
slow: {stage: build, script: ["sleep 8"]}
early:
  stage: test
  needs: ["sized: [small, red]"]
  script: ['test "$(cat out-small.txt)" = "small red"', "test ! -e out-large.txt"]
given:
  stage: test
  script: ['echo "hidden: $HIDDEN"', 'test "$(cat "$SETTINGS")" = "listen: here"', 'test -f "$SETTINGS"']
covered:
  stage: test
  script:
    - echo '<coverage line-rate="0.5"></coverage>' > c.xml
    - echo '<testsuite><testcase name="a" classname="c"><failure>no</failure></testcase></testsuite>' > j.xml
  artifacts: {reports: {coverage_report: {coverage_format: cobertura, path: c.xml}, junit: j.xml}}
one by one 1: {stage: test, needs: [], resource_group: only, script: ["sleep 3"]}
one by one 2: {stage: test, needs: [], resource_group: only, script: ["sleep 3"]}
others' code:
  stage: test
  needs: []
  script:
    - HOST="http://gitlab-ci-token:$CI_JOB_TOKEN@$CI_SERVER_HOST:$CI_SERVER_PORT/$CI_PROJECT_NAMESPACE"
    - git clone -q "$HOST/OPEN.git" open && test -f open/README.md
    - if git clone -q "$HOST/SHUT.git" shut; then exit 1; fi
later: {stage: test, when: delayed, start_in: 2 seconds, script: [echo later]}
by hand: {stage: test, when: manual, allow_failure: false, script: [echo pressed]}
review: {stage: deploy, script: [echo up], environment: {name: review, on_stop: stop review, url: "http://r.example"}}
stop review: {stage: deploy, when: manual, script: [echo down], environment: {name: review, action: stop}}
for somebody: {stage: deploy, tags: [special], script: [echo special]}
"""

RED = """
stages: [build, test, clean]
broken: {stage: build, script: [exit 7], after_script: ['echo "it is $CI_JOB_STATUS"']}
endless: {stage: build, timeout: 4 seconds, script: ["sleep 120"]}
allowed: {stage: build, script: [exit 3], allow_failure: {exit_codes: [3]}}
unreached: {stage: test, script: [echo no]}
rescue: {stage: test, when: on_failure, script: [echo rescued]}
tidy:
  stage: clean
  when: always
  cache: {key: stamp, paths: [.cache], policy: pull}
  script: ["grep -q kept .cache/stamp"]
"""

UNDER_WAY = ("created", "scheduled", "pending", "running")


def test_jobs_of_a_green_pipeline(server: Server, project: dict[str, Any], real_runner: RealRunner) -> None:
    number, base = project["id"], f"/projects/{project['id']}"
    names = {shown: f"{shown.lower()}-{number}" for shown in ("OPEN", "SHUT")}
    made = {shown: server.post("/projects", name=name, initialize_with_readme=True) for shown, name in names.items()}
    server.post(f"/projects/{made['OPEN']['id']}/job_token_scope/allowlist", target_project_id=number)
    server.post(f"{base}/variables", key="HIDDEN", value="a-long-secret", masked=True)
    server.post(f"{base}/variables", key="SETTINGS", value="listen: here", variable_type="file")
    text = GREEN
    for shown, name in names.items():
        text = text.replace(shown, name)
    server.commit(number, {".gitlab-ci.yml": text})

    # A pipeline that waits for a person says so before its delayed job has come.
    pipeline = wait(
        server,
        number,
        lambda each: each["status"] == "manual" and server.states(number, each["id"])["later"] not in UNDER_WAY,
    )["id"]
    states = server.states(number, pipeline)
    assert {name for name, status in states.items() if status not in ("success", "manual", "created")} == set()
    assert states["by hand"] == "manual"
    jobs = server.jobs(number, pipeline)
    assert {"sized: [small, red]", "sized: [large, red]", "numbered 1/2", "numbered 2/2"} <= set(jobs)
    assert jobs["early"]["started_at"] < jobs["slow"]["finished_at"], "a job with needs waits for these only"
    assert "part 2 of 2" in log_of(server, number, pipeline, "numbered 2/2")
    given = log_of(server, number, pipeline, "given")
    assert "hidden: [MASKED]" in given
    assert "a-long-secret" not in given
    assert {"cobertura", "junit"} <= {each["file_type"] for each in jobs["covered"]["artifacts"]}
    assert server.get(f"{base}/pipelines/{pipeline}/test_report")["failed_count"] == 1
    first, second = sorted((_times(jobs[f"one by one {each}"]) for each in (1, 2)), key=lambda times: times[0])
    assert first[1] <= second[0], "two jobs had the resource at once"
    assert (_times(jobs["later"])[0] - datetime.fromisoformat(jobs["later"]["created_at"])).total_seconds() >= 2

    server.post(f"{base}/jobs/{jobs['by hand']['id']}/play", 200)
    _until(lambda: server.states(number, pipeline)["review"] == "success")
    assert server.states(number, pipeline)["for somebody"] == "pending", "nobody has its tag"
    server.put(f"/runners/{real_runner.id}", tag_list=["special"], run_untagged=True)
    wait(server, number, lambda each: each["status"] == "success")
    [environment] = server.get(f"{base}/environments")
    assert (environment["name"], environment["state"]) == ("review", "available")
    server.post(f"{base}/environments/{environment['id']}/stop")
    _until(lambda: server.get(f"{base}/environments/{environment['id']}")["state"] == "stopped")
    assert "down" in log_of(server, number, pipeline, "stop review")

    _a_red_pipeline(server, number)
    real_runner.call("unregister", "--all-runners")
    assert server.get(f"/runners/{real_runner.id}/managers") == []


def _a_red_pipeline(server: Server, number: int) -> None:
    """Afterwards, in the same project: the cache of the green one is there."""
    server.commit(number, {".gitlab-ci.yml": RED})
    pipeline = wait(server, number, lambda each: each["status"] == "failed")["id"]
    jobs = server.jobs(number, pipeline)
    states = {name: job["status"] for name, job in jobs.items()}
    assert states == {
        "broken": "failed",
        "endless": "failed",
        "allowed": "failed",
        "unreached": "skipped",
        "rescue": "success",
        "tidy": "success",
    }
    assert jobs["endless"]["failure_reason"] == "job_execution_timeout"
    assert "it is failed" in log_of(server, number, pipeline, "broken")
    server.commit(number, {"note": "x"}, message="Only a note [skip ci]")
    skipped = server.pipelines(number)[0]
    assert (skipped["status"], server.jobs(number, skipped["id"])) == ("skipped", {})


def _times(job: dict[str, Any]) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(job["started_at"]), datetime.fromisoformat(job["finished_at"])


def _until(holds: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        pytest.param("services", "job: {script: [x], services: [postgres]}", id="services"),
        pytest.param("services", "default: {services: [postgres]}\njob: {script: [x]}", id="default-services"),
        pytest.param("trigger", "job: {trigger: {include: child.yml}}", id="child-pipeline"),
        pytest.param("trigger", "job: {trigger: group/other}", id="multi-project-pipeline"),
        pytest.param("run", "job: {run: [{name: a, script: x}]}", id="steps"),
    ],
)
def test_what_is_not_done_is_refused_by_name(server: Server, project: dict[str, Any], keyword: str, text: str) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": text + "\n"})
    [pipeline] = server.pipelines(project["id"])
    assert pipeline["status"] == "failed"
    told = server.get(f"/projects/{project['id']}/pipelines/{pipeline['id']}")["yaml_errors"]
    assert keyword in told
    assert server.jobs(project["id"], pipeline["id"]) == {}
    answer = server.api.post(f"/projects/{project['id']}/pipeline", json={"ref": "main"})
    assert (answer.status_code, keyword in answer.text) == (400, True)
