"""Schedules and freeze periods."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.schedule import PipelineSchedule
from tests.unit.lab.gitlab.pipelines.test_creation import ONE, _user

NIGHTLY = {"description": "nightly", "ref": "main", "cron": "0 1 * * *", "cron_timezone": "Europe/Berlin"}


def _told(job: dict[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in job["variables"]}


def test_a_schedule_is_kept_changed_and_played(server: Any, project: dict[str, Any], runner: Any) -> None:
    base = f"/projects/{project['id']}"
    server.commit(project["id"], {".gitlab-ci.yml": ONE}, message="Begin [skip ci]")
    server.put(base, ci_pipeline_variables_minimum_override_role="no_one_allowed")
    made = server.post(f"{base}/pipeline_schedules", **NIGHTLY)
    assert (made["ref"], made["active"], made["owner"]["username"]) == ("refs/heads/main", True, "root")
    assert made["next_run_at"] > made["created_at"]
    one = f"{base}/pipeline_schedules/{made['id']}"
    server.post(f"{one}/variables", key="WHY", value="nightly")
    server.put(f"{one}/variables/WHY", value="because")
    assert [each["value"] for each in server.get(one)["variables"]] == ["because"]
    assert server.post(f"{one}/play") == {"message": "201 Created"}
    told = _told(runner.take("one"))
    assert (told["CI_PIPELINE_SOURCE"], told["WHY"], told["CI_COMMIT_BRANCH"]) == ("schedule", "because", "main")
    [pipeline] = server.get(f"{one}/pipelines")
    assert (server.get(one)["last_pipeline"]["id"], pipeline["source"]) == (pipeline["id"], "schedule")
    stopped = server.put(one, active=False)
    assert (stopped["active"], stopped["next_run_at"]) == (False, None)
    assert [each["id"] for each in server.get(f"{base}/pipeline_schedules", scope="inactive")] == [made["id"]]
    assert server.api.delete(f"{one}/variables/WHY").status_code == 202
    assert server.api.delete(one).status_code == 204
    assert server.get(f"{base}/pipelines/{pipeline['id']}")["source"] == "schedule"


def test_what_is_due_runs_once(server: Any, project: dict[str, Any]) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": ONE}, message="Begin [skip ci]")
    made = server.post(f"/projects/{project['id']}/pipeline_schedules", **NIGHTLY)
    with server.instance.store.write() as session:
        session.get_one(PipelineSchedule, made["id"]).next_run_at = now() - timedelta(days=3)
    one = f"/projects/{project['id']}/pipeline_schedules/{made['id']}"
    deadline = time.monotonic() + 20
    while not server.get(f"{one}/pipelines"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert server.get(one)["next_run_at"] == made["next_run_at"]
    assert len(server.get(f"{one}/pipelines")) == 1


def test_schedules_that_cannot_be(server: Any, project: dict[str, Any]) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": ONE})
    place = f"/projects/{project['id']}/pipeline_schedules"
    assert "cron" in server.api.post(place, json={**NIGHTLY, "cron": "never"}).json()["message"]
    assert "ref" in server.api.post(place, json={**NIGHTLY, "ref": "nowhere"}).json()["message"]
    made = server.post(place, **NIGHTLY)
    user, client = _user(server, f"schedule-{project['id']}")
    with client:
        server.post(f"/projects/{project['id']}/members", user_id=user, access_level=30)
        assert client.post(place, json=NIGHTLY).status_code == 403, "main is protected"
        assert "variables" not in client.get(f"{place}/{made['id']}").json()
        assert client.put(f"{place}/{made['id']}", json={"active": False}).status_code == 403


def test_freeze_periods(server: Any, project: dict[str, Any], runner: Any) -> None:
    place = f"/projects/{project['id']}/freeze_periods"
    guarded = "deploy: {script: [x], rules: [{if: $CI_DEPLOY_FREEZE == null}]}\n"
    server.commit(project["id"], {".gitlab-ci.yml": guarded + ONE})
    assert sorted(server.states(project["id"], server.pipelines(project["id"])[0]["id"])) == ["deploy", "one"]
    assert server.api.post(place, json={"freeze_start": "x", "freeze_end": "* * * * *"}).status_code == 400
    made = server.post(place, freeze_start="* * * * *", freeze_end="0 0 1 1 *", cron_timezone="UTC")
    server.commit(project["id"], {"a": "b"})
    newest = server.pipelines(project["id"])[0]["id"]
    assert list(server.states(project["id"], newest)) == ["one"]
    while (job := runner.take())["job_info"]["pipeline_id"] != newest:
        pass
    assert _told(job)["CI_DEPLOY_FREEZE"] == "true"
    assert server.put(f"{place}/{made['id']}", freeze_start="0 0 1 1 *", freeze_end="0 1 1 1 *")["id"] == made["id"]
    server.commit(project["id"], {"a": "c"})
    assert "deploy" in server.states(project["id"], server.pipelines(project["id"])[0]["id"])
    assert server.api.delete(f"{place}/{made['id']}").status_code == 204
    assert server.get(place) == []
