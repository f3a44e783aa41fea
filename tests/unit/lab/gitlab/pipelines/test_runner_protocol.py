"""The runner protocol's edges: tokens, tags, races, resumed logs, lost jobs, uploads that are too large."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from infra.lab.gitlab.pipelines import artifact_file
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.pipelines.watch import Watch
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.job import Job

ONE = "one: {script: [make]}\n"


def _zip(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


def _started(server: Any, project: dict[str, Any], config: str = ONE, **files: str) -> int:
    server.commit(project["id"], {".gitlab-ci.yml": config, **files})
    return int(server.pipelines(project["id"])[0]["id"])


def test_token_is_shown_once_and_stored_as_a_digest(server: Any, project: dict[str, Any]) -> None:
    made = server.post("/user/runners", runner_type="project_type", project_id=project["id"], tag_list=["a"])
    assert made["token"].startswith("glrt-")
    shown = server.get(f"/runners/{made['id']}")
    assert made["token"] not in str(shown)
    assert (shown["status"], shown["online"], shown["tag_list"]) == ("never_contacted", False, ["a"])
    database = b"".join(path.read_bytes() for path in server.instance.settings.data.glob("gitlab.sqlite3*"))
    assert made["token"].encode() not in database


def test_verify_makes_it_online_and_unregister_removes_it(server: Any, runner: Any) -> None:
    body = {"token": runner.token, "system_id": runner.system_id, "info": {"version": "19.4.0"}}
    answer = runner.http.post("/runners/verify", json=body)
    assert (answer.status_code, answer.json()["token"]) == (200, runner.token)
    shown = server.get(f"/runners/{answer.json()['id']}")
    assert (shown["status"], shown["version"]) == ("online", "19.4.0")
    assert runner.http.request("DELETE", "/runners/managers", json=body).status_code == 204
    assert runner.http.request("DELETE", "/runners/managers", json=body).status_code == 404
    assert runner.http.request("DELETE", "/runners", json={"token": runner.token}).status_code == 204
    assert runner.request().status_code == 403


@pytest.mark.parametrize("token", ["", "glrt-wrong"], ids=["none", "unknown"])
def test_wrong_runner_token_is_403(runner: Any, token: str) -> None:
    assert runner.http.post("/runners/verify", json={"token": token}).status_code == 403
    assert runner.http.post("/jobs/request", json={"token": token}).status_code == 403


def test_reset_token_ends_the_old_one(server: Any, runner: Any) -> None:
    answer = runner.http.post("/runners/reset_authentication_token", json={"token": runner.token})
    assert answer.status_code == 201
    assert runner.request().status_code == 403
    runner.token = answer.json()["token"]
    assert runner.request().status_code == 204


def test_registration_tokens_are_gone(runner: Any) -> None:
    assert runner.http.post("/runners", json={"token": "anything"}).status_code == 410


@pytest.mark.parametrize(
    ("fields", "job_tags", "code"),
    [
        ({"tag_list": ["go", "linux"]}, ["go"], 201),
        ({"tag_list": ["go"]}, ["go", "linux"], 204),
        ({"tag_list": ["go"]}, [], 201),
        ({"tag_list": ["go"], "run_untagged": False}, [], 204),
        ({"paused": True}, [], 204),
    ],
    ids=["subset", "tag-missing", "untagged", "untagged-refused", "paused"],
)
def test_matching(
    server: Any,
    project: dict[str, Any],
    new_runner: Callable[..., Any],
    fields: dict[str, Any],
    job_tags: list[str],
    code: int,
) -> None:
    runner = new_runner(project["id"], **fields)
    _started(server, project, f"one: {{script: [make], tags: {job_tags}}}\n")
    assert runner.request().status_code == code


def test_protected_runner_takes_only_protected_refs(
    server: Any, project: dict[str, Any], new_runner: Callable[..., Any]
) -> None:
    runner = new_runner(project["id"], access_level="ref_protected")
    server.commit(project["id"], {"README": "x"})
    server.commit(project["id"], {".gitlab-ci.yml": ONE}, branch="feature")
    assert runner.request().status_code == 204
    server.commit(project["id"], {".gitlab-ci.yml": ONE})
    assert runner.take()["git_info"]["ref"] == "main"


def test_a_project_runner_does_not_serve_others(
    server: Any, project: dict[str, Any], new_runner: Callable[..., Any]
) -> None:
    other = server.post("/projects", name=f"{project['name']}-other")
    _started(server, project)
    assert new_runner(other["id"]).request().status_code == 204


def test_idle_poll_reads_nothing(
    server: Any, project: dict[str, Any], runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runner.request().status_code == 204
    seen = runner.last_update
    with monkeypatch.context() as patch:
        patch.setattr(server.instance.store, "read", lambda: pytest.fail("an idle poll looked into the database"))
        assert runner.request().status_code == 204
    assert runner.last_update == seen
    _started(server, project)
    assert runner.request().status_code == 201


def test_two_runners_race_for_many_jobs(server: Any, project: dict[str, Any], new_runner: Callable[..., Any]) -> None:
    runners = [new_runner(project["id"]) for _ in range(6)]
    _started(server, project, "many: {script: [make], parallel: 24}\n")

    def drain(runner: Any) -> list[int]:
        taken = []
        while (answer := runner.request()).status_code in {201, 409}:
            if answer.status_code == 201:
                taken.append(int(answer.json()["id"]))
            runner.last_update = ""
        return taken

    with ThreadPoolExecutor(len(runners)) as pool:
        taken = [job for jobs in pool.map(drain, runners) for job in jobs]
    assert len(taken) == len(set(taken)) == 24


def test_payload(server: Any, project: dict[str, Any], runner: Any) -> None:
    server.post(f"/projects/{project['id']}/variables", key="SECRET", value="s3cret-value", masked=True)
    server.post(f"/projects/{project['id']}/variables", key="FILE", value="content", variable_type="file")
    config = """
one:
  variables: {GREETING: "hi $CI_PROJECT_NAME"}
  before_script: [prepare]
  script: [make]
  after_script: [clean]
  timeout: 10m
  cache: {key: deps, paths: [.cache], policy: pull}
  artifacts: {paths: [out], reports: {junit: j.xml, coverage_report: {coverage_format: cobertura, path: c.xml}}}
"""
    pipeline = _started(server, project, config)
    job = runner.take("one")
    info, variables = job["git_info"], {each["key"]: each for each in job["variables"]}
    path = project["path_with_namespace"]
    with_token = server.url.replace("//", f"//gitlab-ci-token:{job['token']}@")
    assert info["repo_url"] == f"{with_token}/{path}.git"
    assert info["refspecs"] == [
        f"+{info['sha']}:refs/pipelines/{pipeline}",
        "+refs/heads/main:refs/remotes/origin/main",
    ]
    assert (info["depth"], info["ref_type"], info["protected"]) == (20, "branch", True)
    assert [(step["name"], step["script"]) for step in job["steps"]] == [
        ("script", ["prepare", "make"]),
        ("after_script", ["clean"]),
    ]
    assert job["runner_info"]["timeout"] == 600
    assert (job["cache"][0]["key"], job["cache"][0]["policy"]) == ("deps-protected", "pull")
    assert [each["artifact_type"] for each in job["artifacts"]] == ["archive", "junit", "cobertura"]
    assert variables["GREETING"]["value"] == f"hi {project['path']}"
    assert variables["SECRET"]["masked"]
    assert variables["FILE"]["file"]
    assert variables["CI_JOB_TOKEN"] == {
        "key": "CI_JOB_TOKEN", "value": job["token"], "public": False, "masked": True, "file": False, "raw": True,
    }  # fmt: skip
    expected = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_API_V4_URL": f"{server.url}/api/v4",
        "CI_SERVER_URL": server.url,
        "CI_PIPELINE_ID": str(pipeline),
        "CI_PIPELINE_IID": "1",
        "CI_PIPELINE_SOURCE": "push",
        "CI_COMMIT_SHA": info["sha"],
        "CI_COMMIT_SHORT_SHA": info["sha"][:8],
        "CI_COMMIT_BRANCH": "main",
        "CI_COMMIT_REF_NAME": "main",
        "CI_COMMIT_REF_PROTECTED": "true",
        "CI_COMMIT_TITLE": "Change",
        "CI_DEFAULT_BRANCH": "main",
        "CI_PROJECT_ID": str(project["id"]),
        "CI_PROJECT_PATH": path,
        "CI_PROJECT_URL": f"{server.url}/{path}",
        "CI_PROJECT_ROOT_NAMESPACE": "root",
        "CI_JOB_ID": str(job["id"]),
        "CI_JOB_NAME": "one",
        "CI_JOB_STAGE": "test",
        "CI_CONFIG_PATH": ".gitlab-ci.yml",
        "GITLAB_USER_LOGIN": "root",
    }
    assert {key: variables[key]["value"] for key in expected} == expected
    assert not {"CI_COMMIT_TAG", "CI_REGISTRY", "CI_ENVIRONMENT_NAME"} & set(variables)


def test_job_tokens_open_their_own_job_only(server: Any, project: dict[str, Any], runner: Any) -> None:
    _started(server, project, "many: {script: [make], parallel: 2}\n")
    first, second = runner.take(), runner.take()
    wrong = {**first, "token": second["token"]}
    assert runner.update(wrong, state="success").status_code == 403
    assert runner.trace(wrong, b"x").status_code == 403
    assert runner.upload(wrong, b"x").status_code == 403
    forged = {**first, "token": first["token"][:-1] + ("a" if first["token"][-1] != "a" else "b")}
    assert runner.update(forged, state="success").status_code == 403


def test_trace_resumes_where_it_ended(server: Any, project: dict[str, Any], runner: Any) -> None:
    _started(server, project)
    job = runner.take()
    answer = runner.trace(job, b"hello ")
    assert (answer.status_code, answer.headers["Range"], answer.headers["Job-Status"]) == (202, "0-6", "running")
    assert int(answer.headers["X-GitLab-Trace-Update-Interval"]) > 0
    again = runner.trace(job, b"hello ")
    assert (again.status_code, again.headers["Range"]) == (416, "0-6")
    assert runner.trace(job, b"world", start=20).status_code == 416
    assert runner.trace(job, b"world", start=6).headers["Range"] == "0-11"
    shown = server.api.get(f"/projects/{project['id']}/jobs/{job['id']}/trace")
    assert shown.text == "hello world"
    headers = {"JOB-TOKEN": job["token"], "Content-Type": "text/plain"}
    assert runner.http.patch(f"/jobs/{job['id']}/trace", content=b"x", headers=headers).status_code == 400


def test_too_much_log_fails_the_job(server: Any, project: dict[str, Any], runner: Any, monkeypatch: Any) -> None:
    pipeline = _started(server, project)
    job = runner.take()
    object.__setattr__(CiService.of(server.instance).traces, "limit", 10)
    try:
        assert runner.trace(job, b"x" * 11).status_code == 403
    finally:
        object.__setattr__(CiService.of(server.instance).traces, "limit", 10_000_000)
    assert server.jobs(project["id"], pipeline)["one"]["failure_reason"] == "trace_size_exceeded"


def test_an_ended_job_is_403_with_its_status(server: Any, project: dict[str, Any], runner: Any) -> None:
    _started(server, project)
    job = runner.take()
    runner.finish(job)
    answer = runner.update(job, state="running")
    assert (answer.status_code, answer.headers["Job-Status"]) == (403, "success")
    assert runner.trace(job, b"late").status_code == 403


def test_unknown_state_is_400(server: Any, project: dict[str, Any], runner: Any) -> None:
    _started(server, project)
    assert runner.update(runner.take(), state="sleeping").status_code == 400


def test_artifacts_travel_to_the_next_job(server: Any, project: dict[str, Any], runner: Any) -> None:
    config = "stages: [a, b]\none: {stage: a, script: [x], artifacts: {paths: [out]}}\ntwo: {stage: b, script: [y]}\n"
    pipeline = _started(server, project, config)
    one = runner.take("one")
    archive = _zip(out__deep__file="content", plain="text")
    assert runner.upload(one, archive, expire_in="1 day").status_code == 201
    assert runner.upload(one, archive, expire_in="1 day").status_code == 201, "the same again is fine"
    assert runner.upload(one, archive + b"x").status_code == 400, "another one is not"
    runner.finish(one)
    two = runner.take("two")
    [dependency] = two["dependencies"]
    assert dependency["artifacts_file"] == {"filename": "archive.zip", "size": len(archive)}
    fetched = runner.http.get(f"/jobs/{dependency['id']}/artifacts", headers={"JOB-TOKEN": dependency["token"]})
    assert fetched.content == archive
    assert runner.http.get(f"/jobs/{one['id']}/artifacts", headers={"JOB-TOKEN": two["token"]}).content == archive
    assert runner.http.get(f"/jobs/{one['id']}/artifacts", headers={"JOB-TOKEN": "glcbt-1_x"}).status_code == 403
    runner.finish(two)

    files = f"/projects/{project['id']}/jobs/{one['id']}/artifacts"
    assert server.api.get(files).content == archive
    assert server.api.get(f"{files}/out/deep/file").text == "content"
    assert server.api.get(f"{files}/nothing").status_code == 404
    assert server.api.get(f"{files}/..%2Fsecret").status_code in {400, 404}
    by_ref = f"/projects/{project['id']}/jobs/artifacts/main"
    assert server.api.get(f"{by_ref}/download", params={"job": "one"}).content == archive
    assert server.api.get(f"{by_ref}/raw/plain", params={"job": "one"}).text == "text"
    assert server.api.get(f"{by_ref}/download", params={"job": "two"}).status_code == 404
    shown = server.jobs(project["id"], pipeline)["one"]
    assert shown["artifacts_file"]["size"] == len(archive)
    assert shown["artifacts_expire_at"] is not None
    kept = server.post(f"{files}/keep")
    assert kept["artifacts_expire_at"] is None
    assert server.api.delete(files).status_code == 204
    assert server.api.get(files).status_code == 404


def test_artifact_too_large(server: Any, project: dict[str, Any], runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _started(server, project)
    job = runner.take()
    monkeypatch.setattr("infra.lab.gitlab.pipelines.artifact.LIMIT_BYTES", 1000)
    assert runner.upload(job, b"x" * 1001).status_code == 413
    assert runner.upload(job, b"x" * 2_000_000).status_code == 413
    assert not list((CiService.of(server.instance).artifacts.root / "drafts").iterdir())
    assert runner.upload(job, b"x" * 900).status_code == 201
    assert artifact_file.LIMIT_BYTES > 1000


def test_upload_without_a_file_is_400(server: Any, project: dict[str, Any], runner: Any) -> None:
    _started(server, project)
    job = runner.take()
    for content in ({"json": {}}, {"files": {"other": ("x", b"x")}}):
        answer = runner.http.post(f"/jobs/{job['id']}/artifacts", headers={"JOB-TOKEN": job["token"]}, **content)
        assert answer.status_code == 400
    assert runner.upload(job, b"x", kind="nonsense").status_code == 400


def test_dotenv_and_junit(server: Any, project: dict[str, Any], runner: Any) -> None:
    config = "stages: [a, b]\none: {stage: a, script: [x], coverage: '/cov (\\d+)%/'}\ntwo: {stage: b, script: [y]}\n"
    pipeline = _started(server, project, config)
    one = runner.take("one")
    assert runner.upload(one, gzip.compress(b"not dotenv"), kind="dotenv", file_format="gzip").status_code == 400
    assert (
        runner.upload(one, gzip.compress(b"VERSION=1.2\nEMPTY=\n"), kind="dotenv", file_format="gzip").status_code
        == 201
    )
    passed, failed = (
        b'<testcase name="a" classname="c" time="0.5"/>',
        b'<testcase name="b"><failure>no</failure></testcase>',
    )
    xml = b"<testsuites><testsuite>" + passed + failed + b"</testsuite></testsuites>"
    assert runner.upload(one, gzip.compress(xml), kind="junit", file_format="gzip").status_code == 201
    runner.finish(one, log=b"cov 10%\n\x1b[32mcov 93%\x1b[0m\n")
    variables = {each["key"]: each["value"] for each in runner.take("two")["variables"]}
    assert (variables["VERSION"], variables["EMPTY"]) == ("1.2", "")
    report = server.get(f"/projects/{project['id']}/pipelines/{pipeline}/test_report")
    assert (report["total_count"], report["failed_count"], report["total_time"]) == (2, 1, 0.5)
    summary = server.get(f"/projects/{project['id']}/pipelines/{pipeline}/test_report_summary")
    assert summary["test_suites"][0]["build_ids"] == [one["id"]]
    assert server.jobs(project["id"], pipeline)["one"]["coverage"] == 93
    assert server.get(f"/projects/{project['id']}/pipelines/{pipeline}")["coverage"] == "93.00"


def test_a_runner_that_falls_silent(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _started(server, project)
    job = runner.take()
    watch = Watch(server.instance)
    watch._started_at = now() - timedelta(hours=1)
    watch.check()
    assert server.states(project["id"], pipeline) == {"one": "running"}
    with server.instance.store.write() as session:
        session.get_one(Job, job["id"]).contacted_at = now() - timedelta(minutes=6)
    watch.check()
    shown = server.jobs(project["id"], pipeline)["one"]
    assert (shown["status"], shown["failure_reason"]) == ("failed", "stuck_or_timeout_failure")
    assert "timeout failure" in server.api.get(f"/projects/{project['id']}/jobs/{job['id']}/trace").text


def test_a_job_that_never_arrived_goes_back(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _started(server, project)
    lost = runner.request().json()
    watch = Watch(server.instance)
    watch._started_at = now() - timedelta(hours=1)
    with server.instance.store.write() as session:
        session.get_one(Job, lost["id"]).started_at = now() - timedelta(minutes=2)
    watch.check()
    assert server.states(project["id"], pipeline) == {"one": "pending"}
    assert runner.take()["id"] == lost["id"]


def test_a_job_past_its_timeout(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _started(server, project, "one: {script: [x], timeout: 10m}\n")
    job = runner.take()
    with server.instance.store.write() as session:
        session.get_one(Job, job["id"]).started_at = now() - timedelta(minutes=13)
    Watch(server.instance).check()
    assert server.jobs(project["id"], pipeline)["one"]["failure_reason"] == "job_execution_timeout"


def test_cancel_reaches_the_runner(server: Any, project: dict[str, Any], runner: Any) -> None:
    pipeline = _started(server, project)
    job = runner.take()
    server.post(f"/projects/{project['id']}/jobs/{job['id']}/cancel")
    assert server.states(project["id"], pipeline) == {"one": "canceling"}
    answer = runner.trace(job, b"after")
    assert (answer.status_code, answer.headers["Job-Status"]) == (202, "canceling")
    runner.finish(job, state="failed", failure_reason="job_canceled")
    assert server.states(project["id"], pipeline) == {"one": "canceled"}


def test_cancel_without_a_graceful_runner(server: Any, project: dict[str, Any], runner: Any) -> None:
    runner.features = {}
    _started(server, project)
    job = runner.take()
    assert server.post(f"/projects/{project['id']}/jobs/{job['id']}/cancel")["status"] == "canceled"
    answer = runner.update(job, state="running")
    assert (answer.status_code, answer.headers["Job-Status"]) == (403, "canceled")


def test_job_token_opens_the_api_while_the_job_runs(server: Any, project: dict[str, Any], runner: Any) -> None:
    _started(server, project)
    job = runner.take()
    mine = httpx.get(f"{server.url}/api/v4/job", headers={"JOB-TOKEN": job["token"]})
    assert mine.json()["id"] == job["id"]
    runner.finish(job)
    assert httpx.get(f"{server.url}/api/v4/job", headers={"JOB-TOKEN": job["token"]}).status_code == 401
    assert server.api.get("/job").status_code == 404
