"""Release tags: through both approvals to production, refused for who had a hand in it, and back if not healthy.

By default one service of each language; `--all-services` takes all ten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import gitlab as api
import httpx
import pytest

from infra.clients.gitlab import GitLab
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.core.naming import JWT_MOUNT, deploy_role
from pipelines.artifact import artifact_path, sbom_path
from pipelines.catalogue import Environment, Service, load_catalogue
from pipelines.standard import STAGES
from tests.lab.journey import PATIENCE, chosen
from tests.trial import Stack

pytestmark = pytest.mark.lab

CATALOGUE = load_catalogue()
TAG, NEXT = "v1.2.3", "v1.2.4"


@dataclass(frozen=True)
class Release:
    """The pipeline of a tag."""

    service: Service
    project: Any
    tag: str

    def jobs(self) -> dict[str, Any]:
        """The latest attempt of each job."""
        found = self.project.pipelines.list(ref=self.tag, get_all=True)
        return {job.name: job for job in found[0].jobs.list(get_all=True)} if found else {}

    def wait(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The jobs once the condition holds. Fails, with the log, when a job does or it takes too long."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            jobs = self.jobs()
            if condition(jobs):
                return jobs
            failed = [job for job in jobs.values() if job.status == "failed"]
            if failed:
                pytest.fail(f"{self.service.name} {failed[0].name} is red:\n{self.log(failed[0])}")
            time.sleep(1)
        pytest.fail(f"{self.service.name}: {[(name, job.status) for name, job in self.jobs().items()]}")

    def wait_for(self, name: str, *statuses: str) -> Any:
        """The job, once it has one of these statuses."""
        return self.wait(lambda jobs: name in jobs and jobs[name].status in statuses)[name]

    def log(self, job: Any) -> str:
        return str(self.project.jobs.get(job.id).trace().decode())


@pytest.fixture(scope="session")
def approver(stack: Stack, gitlab: GitLab) -> api.Gitlab:
    """GitLab, as a second maintainer."""
    user = gitlab.api.users.create(
        {
            "username": "second",
            "name": "Second Person",
            "email": "second@example.org",
            "password": "only-in-a-trial-0815",
            "skip_confirmation": True,
        }
    )
    group = gitlab.api.groups.get("trading")
    group.members.create({"user_id": user.id, "access_level": api.const.AccessLevel.MAINTAINER})
    token = user.impersonationtokens.create({"name": "trial", "scopes": ["api"]})
    return api.Gitlab(stack.settings.gitlab_url, private_token=token.token)


def begin(gitlab: GitLab, services: Iterable[Service], tag: str) -> list[Release]:
    releases = []
    for service in services:
        project = gitlab.api.projects.get(service.project)
        project.tags.create({"tag_name": tag, "ref": "main", "message": f"Release {tag}"})
        releases.append(Release(service, project, tag))
    return releases


def play(person: api.Gitlab, release: Release, name: str) -> None:
    job = release.wait_for(name, "manual")
    person.projects.get(release.service.project).jobs.get(job.id).play()


def served(stack: Stack, service: Service, environment: str) -> str:
    port = stack.settings.service_port(service.port, environment)
    return str(httpx.get(f"http://127.0.0.1:{port}/version").json()["version"])


@pytest.fixture(scope="session")
def releases(
    request: pytest.FixtureRequest, runs: dict[str, Any], gitlab: GitLab, approver: api.Gitlab
) -> list[Release]:
    """Releases that went the whole way, side by side, the second person approving."""
    begun = begin(gitlab, chosen(request.config), TAG)
    for environment in ("staging", "production"):
        for release in begun:
            play(approver, release, f"approve-{environment}")
    for release in begun:
        release.wait_for("verify-production", "success")
    return begun


def test_a_release_runs_every_job_and_serves_everywhere(stack: Stack, releases: list[Release]) -> None:
    everything = {job for jobs in STAGES.values() for job in jobs}
    for release in releases:
        jobs = release.jobs()
        assert set(jobs) == everything
        assert {job.status for job in jobs.values()} == {"success"}
        for environment in Environment:
            assert served(stack, release.service, environment) == TAG.removeprefix("v"), environment
        assert {e.name for e in release.project.environments.list(get_all=True)} == {str(e) for e in Environment}


def test_what_ships_is_published_beside_the_artifact(releases: list[Release], nexus: NexusClient) -> None:
    for release in releases:
        version = TAG.removeprefix("v")
        for path in (artifact_path(release.service, version), sbom_path(release.service, version)):
            repository, _, rest = path.partition("/")
            assert nexus.download(repository, rest), path


def test_each_environment_has_a_role_of_its_own_that_names_its_refs(openbao: OpenBao, releases: list[Release]) -> None:
    for release in releases:
        for environment in Environment:
            role = openbao.read(f"auth/{JWT_MOUNT}/role/{deploy_role(release.service.name, environment)}")
            expected = {
                "project_id": str(release.project.id),
                "ref_protected": "true",
                "environment": str(environment),
            }
            if environment in {Environment.STAGING, Environment.PRODUCTION}:
                expected["ref_type"] = "tag"
            assert role is not None
            assert role["bound_claims"] == expected


@pytest.fixture
def worn_out(gitlab: GitLab, releases: list[Release]) -> Release:
    """A release of the Python service that is healthy three times, and in production only."""
    service = CATALOGUE.service("fund-valuation")
    project = gitlab.api.projects.get(service.project)
    path = "src/fund_valuation/server.py"
    text = project.files.get(path, ref="main").decode().decode()
    for old, new in (
        ("import json\nimport time\n", "import json\nimport os\nimport time\n"),
        ("        self.log = log\n", "        self.log = log\n        self.asked = 0\n"),
        (
            "        handler = self.server.routes.get((self.command, path))\n",
            "        handler = self.server.routes.get((self.command, path))\n"
            '        if path == "/health" and os.environ.get("SERVICE_ENVIRONMENT") == "production":\n'
            "            self.server.asked += 1\n"
            "            if self.server.asked > 3:\n"
            '                raise RequestError(503, "worn out")\n',
        ),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    action = {"action": "update", "file_path": path, "content": text}
    project.commits.create({"branch": "main", "commit_message": "Wear out", "actions": [action]})
    # The release is what this is about; the same jobs on main would only take their time.
    project.pipelines.list(ref="main", get_all=True)[0].cancel()
    return begin(gitlab, [service], NEXT)[0]


def test_who_asked_does_not_approve_and_an_unhealthy_release_goes_back_by_itself(
    stack: Stack, gitlab: GitLab, approver: api.Gitlab, worn_out: Release
) -> None:
    release = worn_out
    play(gitlab.api, release, "approve-staging")
    deadline = time.monotonic() + PATIENCE
    while (refused := release.jobs()["approve-staging"]).status != "failed" and time.monotonic() < deadline:
        time.sleep(1)
    assert refused.status == "failed"
    assert "somebody else has to approve fund-valuation 1.2.4 for staging" in release.log(refused)
    assert release.jobs()["deploy-staging"].status in {"created", "skipped"}
    approver.projects.get(release.service.project).jobs.get(refused.id).retry()
    play(approver, release, "approve-production")
    verified = release.wait(lambda jobs: jobs["verify-production"].status == "failed")["verify-production"]
    log = release.log(verified)
    assert "worn out" in log
    assert "1.2.4 is not healthy; the version before it is back" in log
    assert served(stack, release.service, "production") == TAG.removeprefix("v")
    assert served(stack, release.service, "staging") == NEXT.removeprefix("v")
    health = httpx.get(f"http://127.0.0.1:{stack.settings.service_port(release.service.port, 'production')}/health")
    assert health.status_code == 200
