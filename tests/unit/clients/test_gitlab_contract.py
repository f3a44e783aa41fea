"""Our client of GitLab and the kinds on it, against releases 16 to 19 as far as these differ for us."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from infra.clients.gitlab_release import NEEDS, OLDEST, Release, require
from infra.core.error import ServerError
from infra.core.secret import SecretValue
from infra.core.settings import ROOT
from infra.operations.check import Verdict
from infra.operations.server_check import gitlab_check
from infra.provider.connection import Connections
from infra.provider.explain import explained
from infra.provider.gitlab.project import PROJECT
from infra.provider.gitlab.runner import RUNNER
from infra.provider.kind import Kind
from infra.provider.provider import bring_about, complete
from tests.unit.clients.gitlab_replay import LEVELS, RESTRICT, ROLE, GitLabServer, replay

TOO_OLD = ("15.10.8", "16.0.10-ee", "16.11.10", "17.0.8-ee")
FINE = ("17.1.0", "17.9.8-ee", "17.11.7", "18.6.2", "19.4.1-ee")
TOKEN = "openbao:platform/runner#token"


class Remembering(Connections):
    """Connections to GitLab, and secrets in memory."""

    def __init__(self, client: GitLab) -> None:
        super().__init__(gitlab=lambda: client)
        self.kept: dict[str, str] = {}

    def keep_secret(self, reference: str, value: str) -> None:
        self.kept[reference] = value

    def find_secret(self, reference: str) -> SecretValue | None:
        return SecretValue(self.kept[reference]) if reference in self.kept else None


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[GitLabServer]:
    """A GitLab of the version that the test names."""
    with replay(GitLabServer(version=request.param)) as it:
        yield it


@pytest.fixture
def client(server: GitLabServer) -> Iterator[GitLab]:
    made = GitLab(server.url, SecretValue("glpat-x"), timeout=5)
    yield made
    made.close()


@pytest.fixture
def connections(client: GitLab) -> Remembering:
    return Remembering(client)


too_old = pytest.mark.parametrize("server", TOO_OLD, indirect=True)
fine = pytest.mark.parametrize("server", FINE, indirect=True)


def wanted(kind: Kind[Any], inputs: dict[str, Any]) -> Any:
    fields, failures = complete(kind, inputs)
    assert not failures
    return kind.inputs.model_validate(fields)


@too_old
def test_a_release_that_is_too_old_is_refused_by_name(server: GitLabServer, client: GitLab) -> None:
    with pytest.raises(ServerError) as caught:
        client.require_release()
    assert caught.value.what == f"GitLab {server.version} is too old: 17.1 or newer is needed"
    assert caught.value.where == server.url
    lacking = {str(since) for since in NEEDS.values() if since > server.release}
    assert {line.split()[1].rstrip(":") for line in caught.value.detail.splitlines()[1:]} == lacking
    assert lacking


@fine
def test_a_release_that_can_be_worked_with_is_told(server: GitLabServer, client: GitLab) -> None:
    assert client.require_release() == server.release
    check = gitlab_check(client)
    assert (check.verdict, check.found) == (Verdict.FINE, server.version)


@pytest.mark.parametrize("server", ["20.0.0"], indirect=True)
def test_the_doctor_warns_of_a_release_that_nobody_read_about(client: GitLab) -> None:
    check = gitlab_check(client)
    assert check.verdict is Verdict.WARNING
    assert "docs/versions.md" in check.fix


def test_what_is_no_release_is_told() -> None:
    with pytest.raises(ServerError, match="'unknown'"):
        require("unknown", "http://gitlab.test")
    assert str(OLDEST) == "17.1"
    assert Release.parse("17.11.7-ee") == Release(17, 11)
    assert Release(9, 5) < Release(10, 0)


@fine
def test_a_runner_is_made_without_a_registration_token(server: GitLabServer, connections: Remembering) -> None:
    described = wanted(RUNNER, {"description": "shared", "token": TOKEN, "tag_list": ["b", "a"]})
    bring_about(RUNNER, connections, described)
    assert connections.kept == {TOKEN: "glrt-1"}
    assert "POST /user/runners" in server.requests
    assert "POST /runners" not in server.requests
    found = RUNNER.read(connections, described)
    assert found is not None
    assert RUNNER.changes(described.model_dump(mode="json"), RUNNER.observed(described, found)) == {}


@pytest.mark.parametrize("server", ["18.6.2"], indirect=True)
def test_who_may_make_no_runner_is_told_which_permission_lacks(server: GitLabServer, connections: Remembering) -> None:
    server.may_make_runners = False
    with pytest.raises(Exception, match="Forbidden") as caught:
        bring_about(RUNNER, connections, wanted(RUNNER, {"description": "shared", "token": TOKEN}))
    told = explained(caught.value)
    assert isinstance(told, ServerError)
    assert "administrator" in told.fix


PLAIN = {"path": "trading/alpha", ROLE: "no_one_allowed"}


@fine
def test_nobody_sets_pipeline_variables_whatever_the_release(server: GitLabServer, connections: Remembering) -> None:
    described = wanted(PROJECT, {**PLAIN, RESTRICT: True})
    bring_about(PROJECT, connections, described)
    assert not any(server.may_set_variables("trading/alpha", level) for level in LEVELS.values())
    found = PROJECT.read(connections, described)
    assert found is not None
    assert (
        PROJECT.changes(described.model_dump(mode="json", exclude_none=True), PROJECT.observed(described, found)) == {}
    )


@pytest.mark.parametrize("server", ["17.1.0"], indirect=True)
def test_the_role_alone_would_keep_nobody_out_on_an_early_release(
    server: GitLabServer, connections: Remembering
) -> None:
    bring_about(PROJECT, connections, wanted(PROJECT, PLAIN))
    assert server.may_set_variables("trading/alpha", LEVELS["developer"])


def documented(operation: str) -> set[str]:
    """The parameters that GitLab's OpenAPI file has for an operation."""
    operations = json.loads((ROOT / "tests/likeness/gitlab_openapi.json").read_text())["operations"]
    return set(operations[operation]["parameters"])


def test_only_parameters_that_gitlab_documents_are_sent() -> None:
    assert set(PROJECT.inputs.model_fields) - {"archived"} <= documented("PUT /projects/:")
    assert set(RUNNER.inputs.model_fields) - {"token"} <= documented("POST /user/runners")
    assert ROLE not in documented("POST /projects")


PIPELINES = sorted((ROOT / "tests/golden/pipelines").glob("*.yml"))


@pytest.mark.parametrize("file", PIPELINES, ids=lambda file: file.stem)
def test_no_pipeline_depends_on_what_releases_changed_about_job_tokens(file: Any) -> None:
    """The allowlist is enforced from 18.0 on (doc/update/deprecations.md), `CI_JOB_JWT` went with 17.0."""
    text = file.read_text()
    assert "CI_JOB_TOKEN" not in text
    assert "CI_JOB_JWT" not in text
    assert "id_tokens:" in text


def test_there_are_pipelines_to_look_at() -> None:
    assert len(PIPELINES) >= 10
