"""Holds a ledger of what was acknowledged against what the server has."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.likeness.traffic import Traffic
from tests.likeness.wire import Wire, git


def losses(traffic: Traffic, data: Path) -> list[str]:
    """What was acknowledged and is not there, in words. The server must be running and its clients done."""
    with closing(Wire(url=traffic.url, problems=[], token=traffic.token)) as wire:
        return list(_losses(traffic, wire, data))


def _losses(traffic: Traffic, wire: Wire, data: Path) -> Iterator[str]:
    jobs: dict[int, tuple[int, str]] = {}
    for project, _ in traffic.projects:
        yield from _lost_commits(traffic, project, data / "repositories" / f"{project}.git")
        yield from _lost_variables(traffic, wire, project)
        jobs |= {job["id"]: (project, job["status"]) for job in _all(wire, f"/projects/{project}/jobs")}
        made = {pipeline["sha"] for pipeline in _all(wire, f"/projects/{project}/pipelines")}
        pushed = [sha for where, _, sha in traffic.ledger.pushes if where == project]
        yield from (f"the push of {sha} made no pipeline" for sha in pushed if sha not in made)
    yield from (f"job {job} is {status}" for job, (_, status) in jobs.items() if status != "success")
    for job, state in traffic.ledger.results.items():
        if jobs.get(job, (0, ""))[1] != state:
            yield f"job {job} ended as {state} and is {jobs.get(job)}"
    for kind, kept in (("trace", traffic.ledger.traces), ("artifacts", traffic.ledger.artifacts)):
        for job, content in kept.items():
            there = wire.send("GET", f"/projects/{jobs[job][0]}/jobs/{job}/{kind}")
            if there.status != 200 or not there.body.startswith(content):
                yield f"{kind} of job {job}: {there.status}, {len(there.body)} of {len(content)} bytes"


def _lost_commits(traffic: Traffic, project: int, repository: Path) -> Iterator[str]:
    checked = subprocess.run(["git", "fsck", "--strict"], cwd=repository, capture_output=True, text=True, check=False)
    if checked.returncode:
        yield f"git fsck of project {project}: {checked.stdout}{checked.stderr}"
    history: dict[str, set[str]] = {}
    for line in git("for-each-ref", "--format=%(refname)", "refs/heads", cwd=repository).split():
        history[line] = set(git("rev-list", line, cwd=repository).split())
    for where, ref, sha in [*traffic.ledger.pushes, *traffic.ledger.files]:
        if where == project and sha not in history.get(ref, ()):
            yield f"commit {sha} of {ref} in project {project} is lost"


def _lost_variables(traffic: Traffic, wire: Wire, project: int) -> Iterator[str]:
    there = {each["key"]: each["value"] for each in _all(wire, f"/projects/{project}/variables")}
    for where, key, value in traffic.ledger.variables:
        if where == project and there.get(key) != value:
            yield f"variable {key} of project {project} is lost"


def _all(wire: Wire, path: str) -> Iterator[dict[str, Any]]:
    page = "1"
    while page:
        reply = wire.send("GET", f"{path}?per_page=100&page={page}")
        yield from reply.json()
        page = reply.headers["x-next-page"]
