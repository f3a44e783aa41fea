"""The two commands, as processes: quick to be ready, small, and safe to kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from infra.lab.gitlab.repository import Repository
from tests.embedded import HEADERS, bootstrap, serving

pytestmark = pytest.mark.servers


def test_bootstrap_is_idempotent_and_takes_new_values(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert json.loads(bootstrap(data).stdout) == {"changed": True}
    assert json.loads(bootstrap(data).stdout) == {"changed": False}
    with serving(data) as (_, url):
        assert httpx.get(f"{url}/api/v4/user", headers=HEADERS).json()["is_admin"] is True
        other = "glpat-another-token-of-root"
        given = json.dumps({"username": "root", "password": "another password", "token": other})
        assert json.loads(bootstrap(data, given).stdout) == {"changed": True}
        assert httpx.get(f"{url}/api/v4/user", headers=HEADERS).status_code == 401
        assert httpx.get(f"{url}/api/v4/user", headers={"PRIVATE-TOKEN": other}).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("not json hunter2hunter2", id="not-json"),
        pytest.param('{"username": "root", "password": "hunter2", "token": "hunter2hunter2"}', id="too-short"),
        pytest.param('{"username": "root", "password": "hunter2hunter2"}', id="missing"),
    ],
)
def test_bad_input_is_told_without_the_secret(tmp_path: Path, text: str) -> None:
    done = bootstrap(tmp_path / "data", text)
    assert done.returncode == 2
    assert "fix: give" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_only_loopback_is_listened_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.lab.gitlab", "serve", "--data", str(tmp_path), "--host", "0.0.0.0"]
    done = subprocess.run(
        [*command, "--port", "1", "--external-url", "http://x"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "not a loopback address" in done.stderr) == (2, True)


def test_stops_on_sigterm_and_keeps_its_files_private(tmp_path: Path) -> None:
    data = tmp_path / "data"
    bootstrap(data)
    with serving(data) as (process, url):
        httpx.post(f"{url}/api/v4/projects", headers=HEADERS, json={"name": "x", "initialize_with_readme": True})
        megabytes = psutil.Process(process.pid).memory_info().rss / 2**20
        assert megabytes < 150
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) in (0, -signal.SIGTERM)
    loose = [path for path in (data, *data.rglob("*")) if path.stat().st_mode & 0o077]
    assert loose == []


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """Clients commit all the time; the server is killed at odd moments; nothing that it said yes to is lost."""
    data = tmp_path / "data"
    bootstrap(data)
    acknowledged: dict[str, str] = {}
    project_id = 0
    for turn in range(4):
        with serving(data) as (process, url):
            if not project_id:
                body = {"name": "x", "initialize_with_readme": True}
                project_id = httpx.post(f"{url}/api/v4/projects", headers=HEADERS, json=body).json()["id"]
            killer = threading.Thread(target=kill_once_busy, args=(process, acknowledged, 0.17 * turn))
            killer.start()
            with httpx.Client(base_url=f"{url}/api/v4/projects/{project_id}", headers=HEADERS, timeout=10) as client:
                commit_until_killed(client, turn, acknowledged)
            killer.join()
            process.wait(10)
    with serving(data) as (_, url):
        listed: dict[str, str] = {}
        base = f"{url}/api/v4/projects/{project_id}"
        for page in range(1, 50):
            answer = httpx.get(f"{base}/repository/branches", headers=HEADERS, params={"per_page": 100, "page": page})
            listed |= {each["name"]: each["commit"]["id"] for each in answer.json()}
            if not answer.headers["x-next-page"]:
                break
        keys = {each["key"] for each in httpx.get(f"{base}/variables?per_page=100", headers=HEADERS).json()}
    assert acknowledged
    branches = {name: sha for name, sha in acknowledged.items() if sha}
    assert branches.items() <= listed.items()
    assert {name for name, sha in acknowledged.items() if not sha} <= keys
    repository = Repository(data / "repositories" / f"{project_id}.git")
    assert subprocess.run(["git", "fsck", "--strict"], cwd=repository.path, check=False).returncode == 0


def kill_once_busy(process: subprocess.Popen[bytes], acknowledged: dict[str, str], seconds: float) -> None:
    """Kill the server some time after it said yes to something new."""
    before, deadline = len(acknowledged), time.monotonic() + 60
    while len(acknowledged) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()


def commit_until_killed(client: httpx.Client, turn: int, acknowledged: dict[str, str]) -> None:
    for number in range(1000):
        name = f"b{turn}-{number}"
        action = {"action": "create", "file_path": name, "content": "x"}
        body = {"branch": name, "start_branch": "main", "commit_message": name, "actions": [action]}
        try:
            made = client.post("/repository/commits", json=body)
            if made.status_code == 201:
                acknowledged[name] = made.json()["id"]
            key = f"K{turn}_{number}"
            if number < 15 and client.post("/variables", json={"key": key, "value": "x"}).status_code == 201:
                acknowledged[key] = ""
        except httpx.TransportError:
            return
