"""The pages of pipelines and jobs, as a person who is signed in uses them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx


@contextmanager
def _signed_in(server: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, follow_redirects=True, timeout=30) as client:
        token = _token(client.get("/users/sign_in").text)
        form = {"login": "root", "password": "secret-password", "authenticity_token": token}
        assert "Sign out" in client.post("/users/sign_in", data=form).text
        yield client


def _token(page: str) -> str:
    match = re.search(r'name="authenticity_token" value="([^"]+)"', page)
    assert match, page
    return match[1]


def test_pipeline_and_job(server: Any, project: dict[str, Any], runner: Any) -> None:
    server.commit(project["id"], {".gitlab-ci.yml": "one: {script: [x]}\ntwo: {script: [y], when: manual}\n"})
    base = f"/{project['path_with_namespace']}/-"
    pipeline = server.pipelines(project["id"])[0]["id"]
    job = runner.take("one")
    runner.finish(job, "failed", log=b"\x1b[31m<oops>\x1b[0m\n", failure_reason="script_failure", exit_code=3)
    assert "Sign in" in httpx.get(f"{server.url}{base}/pipelines", follow_redirects=True).text
    with _signed_in(server) as client:
        assert f"#{pipeline}" in client.get(f"{base}/pipelines").text
        page = client.get(f"{base}/pipelines/{pipeline}").text
        assert "Retry failed jobs" in page
        assert "Start two" in page
        shown = client.get(f"{base}/jobs/{job['id']}").text
        assert '<span class="fg-red">&lt;oops&gt;</span>' in shown
        assert "exit code 3" in shown
        assert client.get(f"{base}/jobs/{job['id']}/raw").content == b"\x1b[31m<oops>\x1b[0m\n"
        assert client.post(f"{base}/jobs/{job['id']}/retry").status_code == 422, "a form without its token"
        again = client.post(f"{base}/jobs/{job['id']}/retry", data={"authenticity_token": _token(shown)})
        assert "pending" in again.text
        assert client.get(f"{base}/jobs/999999").status_code == 404
        manual = server.jobs(project["id"], pipeline)["two"]["id"]
        client.post(f"{base}/jobs/{manual}/play", data={"authenticity_token": _token(page)})
        client.post(f"{base}/pipelines/{pipeline}/cancel", data={"authenticity_token": _token(page)})
    assert server.states(project["id"], pipeline) == {"one": "canceled", "two": "canceled"}
