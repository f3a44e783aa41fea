"""The runner that the toolchain gives, with a job from a GitLab of a few lines."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from infra.core.settings import load_settings
from infra.toolchain.toolchain import Toolchain
from tests.loopback import serving

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group(__name__)]

SECRET = "s3cret-value-of-a-masked-variable"


def job(script, flags=(), **more):
    variables = [
        *({"key": flag, "value": "true", "public": True} for flag in flags),
        {"key": "GIT_STRATEGY", "value": "none", "public": True},
        {"key": "TOKEN", "value": SECRET, "masked": True},
    ]
    return {
        "id": 7,
        "token": "job-token",
        "job_info": {"id": 7, "name": "build", "stage": "build", "project_id": 1, "project_name": "p"},
        "git_info": {"repo_url": "http://127.0.0.1/p.git", "ref": "main", "sha": "0" * 40, "ref_type": "branch"},
        "runner_info": {"timeout": 60},
        "variables": variables,
        "steps": [{"name": "script", "script": script, "timeout": 60, "when": "on_success", "allow_failure": False}],
        "features": {"trace_sections": True},
        **more,
    }


class GitLab:
    """Hands out one job, and keeps what the runner says of it."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, object]] = []
        self.trace = b""
        self.states: list[str] = []
        self.reason = ""


@pytest.fixture
def gitlab() -> Iterator[tuple[GitLab, str]]:
    kept = GitLab()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, body: object = None) -> None:
            content = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Job-Status", "running")
            self.send_header("Range", f"0-{len(kept.trace)}")
            self.end_headers()
            self.wfile.write(content)

        def read(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_POST(self) -> None:
            self.read()
            if self.path.endswith("/jobs/request") and kept.jobs:
                self.answer(201, kept.jobs.pop())
            else:
                self.answer(204)

        def do_PATCH(self) -> None:
            kept.trace += self.read()
            self.answer(202)

        def do_PUT(self) -> None:
            said = json.loads(self.read())
            kept.states.append(said["state"])
            kept.reason = said.get("failure_reason") or kept.reason
            self.answer(200)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        yield kept, address


@pytest.fixture(scope="module")
def runner():
    return Toolchain.of(load_settings(os.environ), os.environ).ensure(["gitlab-runner"])["gitlab-runner"].path


def run(runner, address, tmp_path):
    """Run one job to its end; what the runner itself prints."""
    done = subprocess.run(
        [
            *(runner, "run-single", "--executor", "shell", "--shell", "bash", "--max-builds", "1"),
            *("--wait-timeout", "30", "--url", address),
            *("--builds-dir", str(tmp_path / "builds"), "--cache-dir", str(tmp_path / "cache")),
        ],
        env={**os.environ, "CI_SERVER_TOKEN": "glrt-of-a-test", "HOME": str(tmp_path)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def test_it_says_what_build_it_is(runner):
    printed = subprocess.run([runner, "--version"], capture_output=True, text=True, check=True).stdout
    assert "Version:      19.4.0" in printed
    assert "Forgeline's build of upstream's packages" in printed


def test_a_job_runs_and_its_secrets_are_masked(runner, gitlab, tmp_path):
    kept, address = gitlab
    kept.jobs.append(job(["echo my name is $CI_JOB_NAME$UNSET", "echo the token is $TOKEN"]))
    printed = run(runner, address, tmp_path)
    trace = kept.trace.decode()
    assert kept.states[-1] == "success", trace + printed
    assert "my name is" in trace
    assert "the token is [MASKED]" in trace
    assert SECRET not in trace
    assert SECRET not in printed


def test_a_script_that_fails_fails_the_job(runner, gitlab, tmp_path):
    kept, address = gitlab
    kept.jobs.append(job(["echo before", "exit 3", "echo after"]))
    run(runner, address, tmp_path)
    trace = kept.trace.decode()
    assert (kept.states[-1], kept.reason) == ("failed", "script_failure")
    assert "exit status 3" in trace
    assert "before" in trace
    assert "\nafter" not in trace


@pytest.mark.parametrize(
    ("more", "says"),
    [
        pytest.param(
            {"run": json.dumps([{"name": "x", "script": "true"}]), "steps": [], "flags": ["FF_CONCRETE"]},
            "CI steps (run:)",
            id="CI steps",
        ),
        pytest.param(
            {"inputs": [{"key": "x", "value": {"type": "string", "content": "y"}}]}, "job inputs", id="job inputs"
        ),
    ],
)
def test_what_this_build_lacks_fails_the_job_with_its_name(runner, gitlab, tmp_path, more, says):
    kept, address = gitlab
    kept.jobs.append(job(["echo ${{ job.inputs.x }}"], **more))
    printed = run(runner, address, tmp_path)
    assert kept.states[-1] == "failed"
    assert f"{says} are not in Forgeline's build of the runner" in kept.trace.decode() + printed
