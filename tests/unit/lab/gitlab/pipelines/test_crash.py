"""A server that is killed while a job runs: what was acknowledged is there, and the job goes on."""

from __future__ import annotations

import io
import os
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.embedded import HEADERS, bootstrap, serving
from tests.trial import free_ports

pytestmark = pytest.mark.servers


def test_kill_and_go_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    bootstrap(data)
    (port,) = free_ports(1)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v4", timeout=30) as http:
        call = _caller(http)
        with serving(data, port) as (process, _):
            project = call("POST", "/projects", name="demo")["id"]
            runner = call("POST", "/user/runners", runner_type="project_type", project_id=project)["token"]
            config = "stages: [a, b]\none: {stage: a, script: [x]}\ntwo: {stage: b, script: [y]}\n"
            action = {"action": "create", "file_path": ".gitlab-ci.yml", "content": config}
            call("POST", f"/projects/{project}/repository/commits", branch="main", commit_message="x", actions=[action])
            job = http.post("/jobs/request", json={"token": runner}).json()
            mine = {"JOB-TOKEN": job["token"]}
            http.put(f"/jobs/{job['id']}", json={"token": job["token"], "state": "running"}).raise_for_status()
            path = f"/jobs/{job['id']}"
            sent = http.patch(f"{path}/trace", content=b"before ", headers={**mine, "Content-Range": "0-6"})
            assert sent.status_code == 202
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w") as archive:
                archive.writestr("out", "kept")
            http.post(
                f"{path}/artifacts", files={"file": ("a.zip", content.getvalue())}, headers=mine
            ).raise_for_status()
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        keys = (data / "ci_jwt_signing_key.pem").read_bytes()
        with serving(data, port):
            resumed = http.patch(f"{path}/trace", content=b"after", headers={**mine, "Content-Range": "7-11"})
            assert resumed.status_code == 202
            done = http.put(path, json={"token": job["token"], "state": "success"})
            assert done.status_code == 200
            following = http.post("/jobs/request", json={"token": runner})
            assert following.json()["job_info"]["name"] == "two"
            assert following.json()["dependencies"][0]["id"] == job["id"]
            log = http.get(f"/projects/{project}/jobs/{job['id']}/trace", headers=HEADERS)
            assert log.text == "before after"
            kept = http.get(f"/projects/{project}/jobs/{job['id']}/artifacts/out", headers=HEADERS)
            assert kept.text == "kept"
            assert (data / "ci_jwt_signing_key.pem").read_bytes() == keys


def _caller(http: httpx.Client) -> Callable[..., Any]:
    def call(method: str, path: str, /, **body: Any) -> Any:
        answer = http.request(method, path, json=body, headers=HEADERS)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return call
