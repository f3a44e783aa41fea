"""What a service declares: claims, limits, and that the first push comes last. Seen by the SDK's mocks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def declared(**changes: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Kind, name and inputs of all that a service declares, whose inputs are changed so."""
    command = [sys.executable, Path(__file__).with_name("declared.py"), json.dumps(changes)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return [(kind, name, inputs) for kind, name, inputs in json.loads(result.stdout)]


@pytest.fixture(scope="module")
def made() -> list[tuple[str, str, dict[str, Any]]]:
    return declared()


def _inputs(made: list[tuple[str, str, dict[str, Any]]], noun: str, name: str) -> dict[str, Any]:
    (found,) = [inputs for kind, named, inputs in made if kind == noun and named == name]
    return found


def test_the_pipeline_is_out_of_the_team_s_reach(made: Any) -> None:
    project = _inputs(made, "gitlab:Project", "trading/alpha")
    assert project["ci_config_path"] == "alpha.yml@platform/pipelines:v1.2.3"
    assert project["ci_pipeline_variables_minimum_override_role"] == "no_one_allowed"
    assert project["restrict_user_defined_variables"] is True


@pytest.mark.parametrize(
    ("role", "claims"),
    [
        ("build-alpha", {"project_id": "42"}),
        ("publish-alpha", {"project_id": "42", "ref_protected": "true"}),
        ("deploy-alpha-dev", {"project_id": "42", "ref_protected": "true", "environment": "dev"}),
    ],
    ids=["build", "publish", "deploy"],
)
def test_a_role_is_bound_by_claims_audience_and_time(made: Any, role: str, claims: dict[str, str]) -> None:
    inputs = _inputs(made, "vault:JwtRole", f"role-{role}")
    assert inputs["bound_claims"] == claims
    assert inputs["bound_audiences"] == ["http://bao"]
    assert inputs["token_ttl"] <= 900
    assert inputs["token_max_ttl"] <= 900


def test_a_build_on_any_ref_can_only_read_dependencies(made: Any) -> None:
    rules = _inputs(made, "vault:Policy", "policy-build-alpha")["rules"]
    assert rules == 'path "nexus/creds/reader" {\n  capabilities = ["read"]\n}\n'


def test_it_publishes_to_its_own_paths_only(made: Any) -> None:
    expression = _inputs(made, "nexus:ContentSelector", "paths-alpha")["expression"]
    assert 'path =^ "/alpha/"' in expression
    assert 'path =^ "/com/forgeline/trading/alpha/"' in expression
    assert all(inputs["content_selector"] == "publish-alpha" for kind, _, inputs in made if kind == "nexus:Privilege")


def test_the_first_push_comes_after_all_that_its_pipeline_needs(made: Any) -> None:
    kinds = [kind for kind, _, _ in made if not kind.startswith("component:")]
    assert kinds[-2:] == ["gitlab:RepositoryFiles", "gitlab:PipelineSchedule"]


def test_every_night_main_is_looked_at_after_it_is_there(made: Any) -> None:
    schedule = _inputs(made, "gitlab:PipelineSchedule", "alpha-nightly")
    assert (schedule["branch"], schedule["cron"]) == ("main", "7 2 * * *")
    names = [name for _, name, _ in made]
    assert names.index("alpha-seed") < names.index("alpha-nightly")


def test_its_teams_are_its_developers(made: Any) -> None:
    shares = [inputs for kind, _, inputs in made if kind == "gitlab:ProjectShare"]
    assert [(share["group"], share["access_level"]) for share in shares] == [
        ("teams/risk", "developer"),
        ("teams/operations", "developer"),
    ]


def test_of_a_retired_one_the_archived_project_is_left_with_its_protections_and_content() -> None:
    left = declared(retired=True, nightly="")
    assert _inputs(left, "gitlab:Project", "trading/alpha")["archived"] is True
    assert {kind for kind, _, _ in left if not kind.startswith("component:")} == {
        "gitlab:Project",
        "gitlab:ProtectedBranch",
        "gitlab:ProtectedTag",
        "gitlab:RepositoryFiles",
    }


def test_one_with_a_history_of_its_own_has_no_seed(made: Any) -> None:
    kinds = {kind for kind, _, _ in declared(seed={})}
    assert {kind for kind, _, _ in made} - kinds == {"gitlab:RepositoryFiles"}
