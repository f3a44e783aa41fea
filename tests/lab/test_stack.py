"""The main job, end to end, from an empty state folder: up, ten green pipelines, artifacts, deployments, down.

The tests of this module use one stack, in their order.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.clients.gitlab import GitLab
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.core.naming import GITLAB_ROOT, MAVEN_RELEASES, RAW_RELEASES
from infra.core.secret import SecretRef
from pipelines.catalogue import Language, Service, load_catalogue
from pipelines.standard import STAGES
from tests.lab.journey import PATIENCE
from tests.trial import Stack

pytestmark = pytest.mark.lab

SERVICES = list(load_catalogue())
TO_TEST = {job for stage in STAGES.values() for job in stage} - {
    *("approve-staging", "deploy-staging", "approve-production", "deploy-production", "verify-production")
}


def test_ten_pipelines_go_green(runs: dict[str, Any]) -> None:
    assert {name: run["status"] for name, run in runs.items()} == {s.name: "success" for s in SERVICES}
    for run in runs.values():
        names = {job["name"] for job in run["jobs"]}
        assert names == TO_TEST


def published(service: Service, version: str) -> tuple[str, str]:
    """Repository and path of the service's artifact."""
    if service.language is Language.JAVA:
        folder = f"com/forgeline/trading/{service.name}/{version}"
        return MAVEN_RELEASES, f"{folder}/{service.name}-{version}.jar"
    return RAW_RELEASES, f"{service.name}/{version}/{service.name}-{version}.tar.gz"


def packaged(gitlab: GitLab, service: Service, run: dict[str, Any], suffix: str) -> bytes:
    """The artifact as the pipeline's own package job left it in GitLab."""
    project = gitlab.api.projects.get(service.project)
    job = next(job for job in project.pipelines.get(run["id"]).jobs.list(get_all=True) if job.name == "package")
    archive = zipfile.ZipFile(io.BytesIO(project.jobs.get(job.id).artifacts()))
    name = next(name for name in archive.namelist() if name.endswith(suffix))
    return archive.read(name)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_artifact_in_nexus_is_the_one_that_was_packaged(
    service: Service, runs: dict[str, Any], gitlab: GitLab, nexus: NexusClient
) -> None:
    run = runs[service.name]
    repository, path = published(service, f"1.0.{run['number']}")
    content = nexus.download(repository, path)
    assert content, f"{repository}/{path} is not there"
    assert content == packaged(gitlab, service, run, Path(path).suffix)
    checksum = nexus.download(repository, f"{path}.sha256")
    assert checksum is not None
    assert checksum.decode().split()[0] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("environment", ["dev", "test"])
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_dev_and_test_serve_the_version(service: Service, environment: str, stack: Stack, runs: dict[str, Any]) -> None:
    port = stack.settings.service_port(service.port, environment)
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
    version = httpx.get(f"http://127.0.0.1:{port}/version").json()
    assert version == {"name": service.name, "version": f"1.0.{runs[service.name]['number']}"}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_service_is_looked_at_every_night(service: Service, stack: Stack, gitlab: GitLab) -> None:
    (schedule,) = gitlab.project(service.project).pipelineschedules.list(get_all=True)
    assert (schedule.ref, schedule.cron) == ("refs/heads/main", stack.settings.profile.night.cron(service.name))


def test_status_shows_servers_and_services(stack: Stack, runs: dict[str, Any]) -> None:
    status = stack.json("status")
    assert {server["name"] for server in status["servers"]} == {"openbao", "nexus", "gitlab", "runner"}
    assert all(server["healthy"] for server in status["servers"])
    assert {s["name"]: s["pipeline"]["status"] for s in status["services"]} == dict.fromkeys(runs, "success")


def test_verify_finds_everything_as_it_must_be(stack: Stack, runs: dict[str, Any]) -> None:
    checks = stack.json("verify")
    assert len(checks) > 15
    assert [check for check in checks if check["outcome"] != "passed"] == []


def writing_requests(state: Path) -> int:
    """Writes that the servers' own logs have seen: OpenBao's audit log and Nexus's request log.

    The operator's login is none: its batch token is not stored.
    """
    seen = 0
    for line in (state / "openbao" / "audit" / "audit.log").read_text().splitlines():
        entry = json.loads(line)
        request = entry.get("request", {})
        login = request.get("path", "").startswith("auth/userpass/login/")
        seen += (
            entry["type"] == "request"
            and not login
            and request.get("operation") in {"create", "update", "delete", "patch"}
        )
    for log in (state / "nexus").rglob("request.log"):
        seen += sum(f'"{verb} ' in line for line in log.read_text().splitlines() for verb in ("POST", "PUT", "DELETE"))
    return seen


def test_second_up_changes_nothing(stack: Stack, runs: dict[str, Any]) -> None:
    before = writing_requests(stack.settings.state)
    assert before, "the logs show the first up's writes"
    again = stack.json("up")
    assert (again["changed"], again["writes"]) == (False, 0)
    assert writing_requests(stack.settings.state) == before


def test_refresh_finds_nothing_and_drift_finds_a_change(stack: Stack, gitlab: GitLab, runs: dict[str, Any]) -> None:
    assert stack.json("drift") == []
    service = SERVICES[0]
    project = gitlab.api.projects.get(service.project)
    project.ci_config_path = ".gitlab-ci.yml"
    project.save()
    found = stack.json("drift", expect=1)
    assert [item["field"] for item in found] == ["ci_config_path"]
    stack.run("up", "--refresh")
    assert gitlab.api.projects.get(service.project).ci_config_path == f"{service.name}.yml@platform/pipelines:v1.0.0"
    assert stack.json("drift") == []


def test_secrets_stay_where_they_belong(stack: Stack, openbao: OpenBao) -> None:
    state = stack.settings.state
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE(stack.settings.bootstrap_key.stat().st_mode) == 0o600
    secrets = [
        openbao.resolve(SecretRef(path, field)).reveal().encode()
        for path, field in ((GITLAB_ROOT, "token"), (GITLAB_ROOT, "password"), ("platform/nexus-admin", "password"))
    ]
    files = [file for part in ("pulumi", "supervisor") for file in (state / part).rglob("*") if file.is_file()]
    assert len(files) > 20
    assert [file for file in files if any(secret in file.read_bytes() for secret in secrets)] == []


def test_a_server_that_dies_is_restarted(stack: Stack) -> None:
    import psutil

    port = stack.settings.profile.ports.openbao
    holders = [c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr[1] == port and c.status == "LISTEN"]
    psutil.Process(holders[0]).kill()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        servers = {server["name"]: server for server in stack.json("status", expect=None)["servers"]}
        if servers["openbao"]["healthy"]:
            return
        time.sleep(1)
    pytest.fail("OpenBao was not restarted")


def test_down_keeps_the_data_and_up_goes_on(stack: Stack, gitlab: GitLab, runs: dict[str, Any]) -> None:
    stack.run("down")
    for port in stack.settings.profile.ports.model_dump().values():
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/")
    stack.run("up")
    service = SERVICES[0]
    project = gitlab.api.projects.get(service.project)
    assert project.pipelines.get(runs[service.name]["id"]).status == "success"
    port = stack.settings.service_port(service.port, "dev")
    assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
