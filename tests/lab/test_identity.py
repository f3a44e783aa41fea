"""A job proves who it is with its ID token: it reads its secret, and nobody else does.

The project and the role of this test are made beside the services', through the same servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from infra.clients.openbao import OpenBao
from infra.core.naming import JWT_MOUNT, KV_MOUNT
from tests.lab.journey import ended
from tests.trial import Stack

pytestmark = pytest.mark.lab

SECRET_PATH = f"{KV_MOUNT}/data/services/identity-probe"
SECRET = "what-only-this-project-may-read"

PIPELINE = """\
read:
  id_tokens:
    OPENBAO_ID_TOKEN:
      aud: %(audience)s
  variables:
    BAO_ADDR: %(audience)s
  script:
    - BAO_TOKEN="$(printf %%s "$OPENBAO_ID_TOKEN" | bao write -field=token auth/gitlab/login role=identity-probe jwt=-)"
    - export BAO_TOKEN
    - bao kv get -mount=forgeline -field=value services/identity-probe | sha256sum | cut -c 1-16
"""


@dataclass(frozen=True)
class Attempt:
    """How a job that tried to read the secret ended."""

    status: str
    log: str


@pytest.fixture(scope="module")
def project_id(stack: Stack, runs: dict[str, Any], gitlab: GitLab, openbao: OpenBao) -> Iterator[int]:
    """The project that may read the secret."""
    made = make_project(gitlab, "identity-probe", stack.settings.openbao_url)
    openbao.write(SECRET_PATH, {"data": {"value": SECRET}})
    openbao.write("sys/policies/acl/identity-probe", {"policy": f'path "{SECRET_PATH}" {{ capabilities = ["read"] }}'})
    openbao.write(
        f"auth/{JWT_MOUNT}/role/identity-probe",
        {
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": [stack.settings.openbao_url],
            "bound_claims": {"project_id": str(made), "ref_protected": "true"},
            "token_policies": ["identity-probe"],
            "token_ttl": "5m",
        },
    )
    yield made
    gitlab.api.projects.delete(made)


def make_project(gitlab: GitLab, name: str, audience: str) -> int:
    """A project with a protected main whose pipeline tries to read the secret."""
    project = gitlab.api.projects.create({"name": name, "visibility": "private"})
    project.commits.create(
        {
            "branch": "main",
            "commit_message": "Try to read the secret",
            "actions": [
                {"action": "create", "file_path": ".gitlab-ci.yml", "content": PIPELINE % {"audience": audience}}
            ],
        }
    )
    if "main" not in {branch.name for branch in project.protectedbranches.list(get_all=True)}:
        project.protectedbranches.create({"name": "main"})
    return int(project.id)


def attempt(gitlab: GitLab, project: int, ref: str) -> Attempt:
    """Run the pipeline on `ref` and wait for its job."""
    handle = gitlab.api.projects.get(project)
    pipeline = handle.pipelines.create({"ref": ref})
    pipeline = ended(handle, pipeline.id)
    job = handle.jobs.get(pipeline.jobs.list(get_all=True)[0].id)
    return Attempt(pipeline.status, job.trace().decode())


def test_a_job_of_the_project_reads_its_secret(gitlab: GitLab, project_id: int) -> None:
    import hashlib

    done = attempt(gitlab, project_id, "main")
    assert done.status == "success", done.log
    assert hashlib.sha256(SECRET.encode()).hexdigest()[:16] in done.log
    assert SECRET not in done.log


def test_another_project_is_refused(gitlab: GitLab, project_id: int, stack: Stack) -> None:
    other = make_project(gitlab, "identity-stranger", stack.settings.openbao_url)
    try:
        refused = attempt(gitlab, other, "main")
    finally:
        gitlab.api.projects.delete(other)
    assert refused.status == "failed"
    assert 'claim "project_id" does not match' in refused.log


def test_an_unprotected_branch_is_refused(gitlab: GitLab, project_id: int) -> None:
    gitlab.api.projects.get(project_id).branches.create({"branch": "feature", "ref": "main"})
    refused = attempt(gitlab, project_id, "feature")
    assert refused.status == "failed"
    assert 'claim "ref_protected" does not match' in refused.log
