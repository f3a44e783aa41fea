"""A running embedded GitLab on a free port, and a client that speaks the runner's protocol."""

from __future__ import annotations

import itertools
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from infra.lab.gitlab.app import build
from infra.lab.gitlab.bootstrap import Administrator, bootstrap
from infra.lab.gitlab.instance import Instance, Settings
from tests.trial import free_ports
from tests.unit.lab.gitlab.pipelines.real_runner import RealRunner, running

_NUMBERS = itertools.count(1)
TOKEN = "glpat-0123456789abcdefghij"


@dataclass(kw_only=True)
class Server:
    """The instance under test and an administrator's client for its API."""

    url: str
    instance: Instance
    api: httpx.Client

    def get(self, path: str, /, **params: Any) -> Any:
        answer = self.api.get(path, params=params)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    def post(self, path: str, code: int = 201, /, **body: Any) -> Any:
        answer = self.api.post(path, json=body)
        assert answer.status_code == code, (path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def put(self, path: str, /, **body: Any) -> Any:
        answer = self.api.put(path, json=body)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
        return answer.json()

    def commit(self, project: int, files: dict[str, str], message: str = "Change", branch: str = "main") -> str:
        """Writes files on a branch in one commit and returns its hash."""
        actions = []
        for path, content in files.items():
            there = self.api.head(f"/projects/{project}/repository/files/{path}", params={"ref": branch})
            action = "update" if there.status_code == 200 else "create"
            actions.append({"action": action, "file_path": path, "content": content})
        body: dict[str, Any] = {"branch": branch, "commit_message": message, "actions": actions}
        if branch != "main":
            body["start_branch"] = "main"
        return str(self.post(f"/projects/{project}/repository/commits", **body)["id"])

    def pipelines(self, project: int) -> list[dict[str, Any]]:
        return list(self.get(f"/projects/{project}/pipelines"))

    def jobs(self, project: int, pipeline: int, **params: Any) -> dict[str, dict[str, Any]]:
        found = self.get(f"/projects/{project}/pipelines/{pipeline}/jobs", per_page=100, **params)
        return {job["name"]: job for job in found}

    def states(self, project: int, pipeline: int) -> dict[str, str]:
        return {name: job["status"] for name, job in self.jobs(project, pipeline).items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One instance for a module's tests; each test makes projects of its own."""
    data: Path = tmp_path_factory.mktemp("gitlab")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    app = build(Settings(data=data / "data", external_url=url))
    runner = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    while not runner.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    instance: Instance = app.state.instance
    with instance.store.write() as session:
        bootstrap(
            session, Administrator.model_validate({"username": "root", "password": "secret-password", "token": TOKEN})
        )
    with httpx.Client(base_url=f"{url}/api/v4", headers={"PRIVATE-TOKEN": TOKEN}, timeout=30) as api:
        yield Server(url=url, instance=instance, api=api)
    runner.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def project(server: Server, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A new, empty project."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.originalname).lower()[:60]
    return dict(server.post("/projects", name=f"{name}-{next(_NUMBERS)}"))


@dataclass(kw_only=True)
class FakeRunner:
    """What gitlab-runner sends, without running anything."""

    http: httpx.Client
    token: str
    system_id: str = "s_0123456789ab"
    last_update: str = ""
    features: dict[str, bool] = field(default_factory=lambda: {"cancel_gracefully": True, "two_phase_job_commit": True})

    def request(self) -> httpx.Response:
        body = {
            "token": self.token,
            "system_id": self.system_id,
            "last_update": self.last_update,
            "info": {"name": "gitlab-runner", "version": "19.4.0", "executor": "shell", "features": self.features},
        }
        answer = self.http.post("/jobs/request", json=body)
        self.last_update = answer.headers.get("X-GitLab-Last-Update", self.last_update)
        return answer

    def take(self, name: str | None = None) -> dict[str, Any]:
        """The next job; it is said to be running, as the runner does at once."""
        answer = self.request()
        assert answer.status_code == 201, (answer.status_code, answer.text)
        job: dict[str, Any] = answer.json()
        assert name is None or job["job_info"]["name"] == name, job["job_info"]["name"]
        assert self.update(job, state="running").status_code == 200
        return job

    def update(self, job: dict[str, Any], **body: Any) -> httpx.Response:
        return self.http.put(
            f"/jobs/{job['id']}", json={"token": job["token"], **body}, headers={"JOB-TOKEN": job["token"]}
        )

    def trace(self, job: dict[str, Any], text: bytes, start: int = 0) -> httpx.Response:
        return self.http.patch(
            f"/jobs/{job['id']}/trace",
            params={"debug_trace": "false"},
            content=text,
            headers={
                "JOB-TOKEN": job["token"],
                "Content-Type": "text/plain",
                "Content-Range": f"{start}-{start + len(text) - 1}",
            },
        )

    def finish(self, job: dict[str, Any], state: str = "success", log: bytes = b"", **more: Any) -> httpx.Response:
        if log:
            assert self.trace(job, log).status_code == 202
        output = {"checksum": f"crc32:{zlib.crc32(log):08x}", "bytesize": len(log)}
        answer = self.update(job, state=state, output=output, **more)
        assert answer.status_code == 200, answer.text
        return answer

    def upload(
        self, job: dict[str, Any], content: bytes, *, kind: str = "archive", file_format: str = "zip", **params: str
    ) -> httpx.Response:
        return self.http.post(
            f"/jobs/{job['id']}/artifacts",
            params={"artifact_type": kind, "artifact_format": file_format, **params},
            files={"file": (f"{kind}.zip", content)},
            headers={"JOB-TOKEN": job["token"]},
        )


@pytest.fixture
def new_runner(server: Server) -> Iterator[Callable[..., FakeRunner]]:
    """Makes runners of a project, `new_runner(project_id, tag_list=[…])`."""
    with httpx.Client(base_url=f"{server.url}/api/v4", timeout=30) as http:

        def make(project_id: int, **fields: Any) -> FakeRunner:
            made = server.post("/user/runners", runner_type="project_type", project_id=project_id, **fields)
            return FakeRunner(http=http, token=made["token"])

        yield make


@pytest.fixture
def runner(project: dict[str, Any], new_runner: Callable[..., FakeRunner]) -> FakeRunner:
    """A runner of the project."""
    return new_runner(project["id"])


@pytest.fixture
def real_runner(server: Server, project: dict[str, Any], tmp_path: Path) -> Iterator[RealRunner]:
    """The real GitLab Runner, working for the project until the test ends."""
    with running(server, project, tmp_path) as runner:
        yield runner
