"""One service in depth: what is told of deployments and failures, and of servers that are away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.clients.bootstrap import ensure_key
from infra.core.error import BadInputError
from infra.core.settings import load_settings
from infra.operations.pipeline_run import PipelineRun
from infra.operations.service_deployment import Running, last_deployment
from infra.operations.service_view import ServiceView, service_view
from infra.programs.checkpoint import Checkpoints
from infra.programs.plan import Drift
from pipelines.catalogue import load_catalogue
from pipelines.drift import PipelineState, ServiceDrift
from tests.trial import free_ports
from tests.unit.operations.gitlab_stub import stub

CATALOGUE = load_catalogue()
NAME = "settlement"
PROJECT = f"/projects/trading/{NAME}"


def run(status: str) -> PipelineRun:
    return PipelineRun(service=NAME, id=5, number=2, status=status, ref="main", sha="0", web_url="http://x")


def running(environment: str, version: str | None) -> Running:
    return Running(environment=environment, url="http://x", version=version, healthy=version is not None)


def view(**parts: Any) -> ServiceView:
    """A service of which everything is as it should be, but for `parts`."""
    well: dict[str, Any] = {
        "service": CATALOGUE.service(NAME),
        "file": CATALOGUE.sources[NAME],
        "web_url": "http://x",
        "newest": CATALOGUE.service(NAME).pipeline,
        "runs": (run("success"),),
        "failures": (),
        "running": (running("dev", "1.0.2"), running("staging", None)),
        "access": (),
        "dependents": (),
        "pipeline_drift": None,
        "resource_drift": (),
        "recorded": True,
        "problems": (),
    }
    return ServiceView(**{**well, **parts})


def drifted(*states: PipelineState, hold: str | None = None) -> ServiceDrift:
    return ServiceDrift(service=NAME, pipeline="v1.0.0", states=states, details=(), hold=hold)


GONE = Drift(stack=f"service-{NAME}", urn="x", field="", expected="x", actual=None)


@pytest.mark.parametrize(
    ("parts", "commands"),
    [
        pytest.param({}, [f"forgeline pipelines explain {NAME}"], id="all-well"),
        pytest.param({"recorded": False}, [f"forgeline adopt {NAME}"], id="not-in-the-state"),
        pytest.param({"resource_drift": (GONE,)}, ["forgeline up --refresh"], id="gone"),
        pytest.param(
            {"resource_drift": (GONE,), "pipeline_drift": drifted(PipelineState.SETTING_ALTERED)},
            ["forgeline up --refresh"],
            id="one-remedy-for-two",
        ),
        pytest.param(
            {"newest": "v9.0.0", "pipeline_drift": drifted(PipelineState.TEMPLATE_NEWER)},
            ["forgeline pipelines release", f"forgeline pipelines rollout v9.0.0 --services {NAME}"],
            id="behind",
        ),
        pytest.param({"runs": (run("failed"),)}, [f"forgeline pipelines run {NAME} --wait"], id="red"),
        pytest.param({"running": (running("dev", None),)}, [f"forgeline pipelines run {NAME} --wait"], id="not-in-dev"),
        pytest.param(
            {"pipeline_drift": drifted(PipelineState.TEMPLATE_NEWER, hold="audit")},
            [f"forgeline pipelines explain {NAME}"],
            id="held",
        ),
    ],
)
def test_what_to_type_next(parts: dict[str, Any], commands: list[str]) -> None:
    assert [step.command for step in view(**parts).steps] == commands


@pytest.mark.parametrize("state", [state for state in PipelineState if state is not PipelineState.CLEAN])
def test_every_drift_has_a_remedy(state: PipelineState) -> None:
    assert state.remedy.startswith("forgeline ")


def deployed(environment: str, jobs: list[dict[str, Any]]) -> dict[str, str]:
    job = {"pipeline": {"id": 7}, "finished_at": "2026-01-02T00:00:00.000Z", "web_url": "http://job"}
    last = {"id": 3, "ref": "v1.2.3", "sha": "abc", "user": {"username": "erin"}, "deployable": job, "updated_at": ""}

    def deployments(query: dict[str, str]) -> list[dict[str, Any]]:
        wanted = {"environment": environment, "status": "success", "order_by": "id", "sort": "desc"}
        return [last] if wanted.items() <= query.items() else []

    given = {f"{PROJECT}/deployments": deployments, f"{PROJECT}/pipelines/7/jobs": lambda _query: jobs}
    with stub(given, []) as gitlab:
        return last_deployment(gitlab.project(f"trading/{NAME}"), environment)


def test_a_deployment_tells_who_approved_it() -> None:
    jobs = [
        {"id": 1, "name": "approve-staging", "status": "success", "user": {"username": "sam"}},
        {"id": 2, "name": "approve-production", "status": "success", "user": {"username": "pat"}},
    ]
    found = deployed("production", jobs)
    assert (found["approved_by"], found["deployed_by"], found["since"]) == ("pat", "erin", "2026-01-02T00:00:00.000Z")
    assert deployed("staging", jobs)["approved_by"] == "sam"


def test_an_approval_that_was_not_given_is_none() -> None:
    jobs = [{"id": 2, "name": "approve-production", "status": "manual", "user": {"username": "pat"}}]
    assert deployed("production", jobs)["approved_by"] == ""
    assert deployed("dev", [])["approved_by"] == ""


def test_servers_that_are_away_are_told_and_nothing_is_taken_for_granted(tmp_path: Path) -> None:
    gitlab, openbao, cluster, nexus = free_ports(4)
    profile = tmp_path / "away.yaml"
    profile.write_text(
        f"name: away\nports: {{gitlab: {gitlab}, openbao: {openbao}, openbao_cluster: {cluster}, nexus: {nexus}}}\n"
        "environment_port_offsets: {dev: 20000}\n"
    )
    settings = load_settings({"FORGELINE_PROFILE": str(profile), "FORGELINE_STATE": str(tmp_path / "state")})
    settings.state.mkdir()
    ensure_key(settings.bootstrap_key)
    policy = {
        "urn": f"urn:pulumi:service-{NAME}::forgeline::forgeline:vault:Policy::policy-build-{NAME}",
        "type": "forgeline:vault:Policy",
        "id": f"build-{NAME}",
        "custom": True,
        "inputs": {"name": f"build-{NAME}", "rules": ""},
    }
    file = Checkpoints(settings.data("pulumi")).file(f"service-{NAME}")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"checkpoint": {"latest": {"resources": [policy]}}}))
    found = service_view(settings, CATALOGUE, NAME)
    assert [(one.name, one.state) for one in found.access] == [(f"build-{NAME}", "not known")]
    assert {problem.partition(":")[0] for problem in found.problems} == {"GitLab", "OpenBao"}
    assert [(one.environment, one.version) for one in found.running] == [("dev", None)]
    assert found.pipeline_drift is None


def test_an_unknown_service_is_refused_with_the_nearest(tmp_path: Path) -> None:
    settings = load_settings({"FORGELINE_STATE": str(tmp_path)})
    with pytest.raises(BadInputError) as caught:
        service_view(settings, CATALOGUE, "setlement")
    assert "settlement" in caught.value.fix
