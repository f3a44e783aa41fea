"""A red example of each gate, on the real runner: releases of one service with one fault each, all begun together.

They are release tags, for of all occasions a tag goes furthest: what a red gate keeps from happening is seen.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from pipelines.catalogue import load_catalogue
from pipelines.standard import GATES_BEFORE_PUBLISH, STAGES
from tests.lab.journey import ended
from tests.trial import Stack

pytestmark = pytest.mark.lab

SERVICE = load_catalogue().service("client-reporting")
"""Of the languages whose dependencies come with a licence that is allowed, the one with the fastest jobs."""

BEFORE = ("build", *GATES_BEFORE_PUBLISH, "package")
BEHIND = {job for jobs in STAGES.values() for job in jobs} - set(BEFORE)
"""What no fault may get to: the artifact is published by the first of them."""

Files = Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """What is changed of a sound service, the one job that must stop it, and what that says."""

    files: Callable[[Path], Files]
    job: str
    said: str


def failing_test(_folder: Path) -> Files:
    throws = 'test("totals", () => {\n  throw new Error("the total is off by a cent");\n});\n'
    return {"test/total.test.js": f'import {{ test }} from "node:test";\n\n{throws}'}


def without_tests(_folder: Path) -> Files:
    functions = [f"export function never{number}(a) {{\n  return a + {number};\n}}\n" for number in range(600)]
    return {"src/untested.js": "\n".join(functions)}


def secret(_folder: Path) -> Files:
    return {"notes.txt": f'aws_access_key_id = "{KEY}"\n'}


KEY = "AKIA" + "QYLPMN5HHHFPZAM2"


def with_package(package: str) -> Callable[[Path], Files]:
    """What `npm install` makes of the service's files, which are in the folder."""

    def files(folder: Path) -> Files:
        command = ("npm", "install", "--package-lock-only", "--save-exact", "--ignore-scripts", "--no-audit", package)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return {name: (folder / name).read_text() for name in NPM}

    return files


NPM = ("package.json", "package-lock.json")

FAULTS = {
    "failing-test": Fault(failing_test, "unit-test", "the total is off by a cent"),
    "low-coverage": Fault(
        without_tests, "unit-test", f"a service of tier {SERVICE.tier} needs {SERVICE.coverage_floor}%"
    ),
    "planted-secret": Fault(secret, "secret-scan", "aws-access-token"),
    "vulnerable-dependency": Fault(
        with_package("lodash@4.17.20"), "dependency-audit", "error: pkg:npm/lodash@4.17.20: GHSA-35jh-r3h4-6jhm"
    ),
    "forbidden-licence": Fault(
        with_package("spdx-exceptions@2.5.0"), "license-check", "pkg:npm/spdx-exceptions@2.5.0: CC-BY-3.0"
    ),
}


@dataclass(frozen=True)
class Red:
    """A pipeline that has ended: its jobs by name."""

    project: Any
    jobs: Mapping[str, Any]

    def with_status(self, status: str) -> set[str]:
        return {name for name, job in self.jobs.items() if job.status == status}

    def log(self, name: str) -> str:
        return str(self.project.jobs.get(self.jobs[name].id).trace().decode())


@pytest.fixture(scope="module")
def reds(calm: Stack, gitlab: GitLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Red]]:
    """The pipeline of each fault; afterwards there is nothing left of them."""
    project = gitlab.api.projects.get(SERVICE.project)
    there = {item["path"] for item in project.repository_tree(recursive=True, get_all=True)}
    pipelines: dict[str, int] = {}
    try:
        for number, (name, fault) in enumerate(FAULTS.items()):
            folder = tmp_path_factory.mktemp(name)
            for path in (".npmrc", *NPM):
                (folder / path).write_bytes(project.files.raw(path, ref="main"))
            actions = [
                {"action": "update" if path in there else "create", "file_path": path, "content": text}
                for path, text in fault.files(folder).items()
            ]
            message = {"commit_message": f"Try {name}", "actions": actions}
            project.commits.create({"branch": name, "start_branch": "main", **message})
            # The branch has a pipeline of its own, of the same jobs.
            for pipeline in project.pipelines.list(ref=name, get_all=True):
                pipeline.cancel()
            project.tags.create({"tag_name": f"v9.0.{number}", "ref": name, "message": name})
            (tagged,) = project.pipelines.list(ref=f"v9.0.{number}", get_all=True)
            pipelines[name] = tagged.id
        yield {name: red(project, number) for name, number in pipelines.items()}
    finally:
        for number, name in enumerate(FAULTS):
            remove(project, name, f"v9.0.{number}")


def red(project: Any, number: int) -> Red:
    jobs = {job.name: job for job in ended(project, number).jobs.list(get_all=True)}
    return Red(project, jobs)


def remove(project: Any, branch: str, tag: str) -> None:
    """Takes away what was begun of a fault: other tests look at the service's newest pipelines and tags."""
    for ref, there in ((tag, project.tags), (branch, project.branches)):
        for pipeline in project.pipelines.list(ref=ref, get_all=True):
            pipeline.cancel()
            pipeline.delete()
        if any(one.name == ref for one in there.list(get_all=True)):
            there.delete(ref)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_stopped_by_its_gate_and_by_no_other(reds: dict[str, Red], name: str) -> None:
    fault, found = FAULTS[name], reds[name]
    assert found.with_status("failed") == {fault.job}
    assert fault.said in found.log(fault.job)
    assert found.with_status("success") == set(BEFORE) - {fault.job}
    assert {found.jobs[job].started_at for job in BEHIND} == {None}


def test_the_secret_itself_is_not_in_the_log(reds: dict[str, Red]) -> None:
    assert KEY not in reds["planted-secret"].log("secret-scan")
