"""What each kind of token opens, and for how long, as GitLab's documentation has it ("Personal access token scopes",
"Project access tokens", "Group access tokens", "Deploy tokens", "CI/CD job token"); and where tokens are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.lab.gitlab.store.base import Store
from infra.lab.gitlab.store.token import AccessToken, DeployToken
from tests.likeness.conftest import TOKEN, served

TOMORROW = str(date.today() + timedelta(days=1))
ACTS = ("read the project", "make a branch", "read the user", "fetch", "push", "read another project")


@dataclass(kw_only=True)
class Stage:
    """A private project of a group, another one beside it, and one token of each kind by name."""

    url: str
    data: Path
    root: httpx.Client
    project: dict[str, Any]
    other: dict[str, Any]
    group: dict[str, Any]
    tokens: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """What git is told as the user's name."""

    def post(self, path: str, /, **body: Any) -> dict[str, Any]:
        """As an administrator."""
        answer = self.root.post(path, json=body)
        assert answer.is_success, (path, answer.text)
        made: dict[str, Any] = answer.json()
        return made

    def do(self, act: str, name: str) -> int:
        """The status of an act with a token."""
        token = self.tokens[name]
        header = {"JOB-TOKEN": token} if name.startswith("job") else {"PRIVATE-TOKEN": token}
        project = f"/projects/{self.project['id']}"
        if act in ("fetch", "push"):
            service = "git-upload-pack" if act == "fetch" else "git-receive-pack"
            place = f"{self.url}/{self.project['path_with_namespace']}.git/info/refs"
            basic = (self.names.get(name, "anyone"), token)
            return httpx.get(place, params={"service": service}, auth=basic).status_code
        calls: dict[str, Callable[[], httpx.Response]] = {
            "read the project": lambda: httpx.get(self._api(project), headers=header),
            "make a branch": lambda: httpx.post(
                self._api(f"{project}/repository/branches"),
                headers=header,
                json={"branch": name.replace(" ", "-"), "ref": "main"},
            ),
            "read the user": lambda: httpx.get(self._api("/user"), headers=header),
            "read another project": lambda: httpx.get(self._api(f"/projects/{self.other['id']}"), headers=header),
        }
        return calls[act]().status_code

    def _api(self, path: str) -> str:
        return f"{self.url}/api/v4{path}"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """All tokens, made by the API; those that have expired are put back to yesterday in the database."""
    data = tmp_path_factory.mktemp("tokens")
    with (
        served(data) as url,
        httpx.Client(base_url=f"{url}/api/v4", headers={"PRIVATE-TOKEN": TOKEN}, timeout=30) as root,
    ):
        group = root.post("/groups", json={"name": "desk", "path": "desk"}).json()
        made = [
            root.post("/projects", json={"name": name, "namespace_id": group["id"], "initialize_with_readme": True})
            for name in ("settlement", "ledger")
        ]
        stage = Stage(url=url, data=data, root=root, project=made[0].json(), other=made[1].json(), group=group)
        _fill(stage)
        yield stage


def _fill(stage: Stage) -> None:
    user = stage.post("/users", username="ada", name="Ada", email="ada@example.org", password="long enough 1")
    stage.post(f"/groups/{stage.group['id']}/members", user_id=user["id"], access_level=30)
    personal = f"/users/{user['id']}/personal_access_tokens"
    for scope in ("api", "read_api", "read_user", "read_repository", "write_repository"):
        stage.tokens[scope] = stage.post(personal, name=scope, scopes=[scope], expires_at=TOMORROW)["token"]
    revoked = stage.post(personal, name="revoked", scopes=["api"])
    assert stage.root.delete(f"/personal_access_tokens/{revoked['id']}").status_code == 204
    stage.tokens["revoked"] = revoked["token"]
    expired = stage.post(personal, name="expired", scopes=["api"], expires_at=TOMORROW)
    stage.tokens["expired"] = expired["token"]
    project, group = f"/projects/{stage.project['id']}", f"/groups/{stage.group['id']}"
    resource = {"name": "robot", "scopes": ["api"], "access_level": 30, "expires_at": TOMORROW}
    stage.tokens["project"] = stage.post(f"{project}/access_tokens", **resource)["token"]
    stage.tokens["project guest"] = stage.post(f"{project}/access_tokens", **{**resource, "access_level": 10})["token"]
    stage.tokens["group"] = stage.post(f"{group}/access_tokens", **resource)["token"]
    for name in ("deploy", "deploy expired"):
        token = stage.post(f"{project}/deploy_tokens", name=name, scopes=["read_repository"], expires_at=TOMORROW)
        stage.tokens[name], stage.names[name] = token["token"], token["username"]
    _expire(stage.data, expired["id"], stage.names["deploy expired"])
    stage.tokens["job"] = _running_job(stage)
    stage.names["job"] = "gitlab-ci-token"


def _expire(data: Path, token_id: int, deploy_username: str) -> None:
    yesterday = str(date.today() - timedelta(days=1))
    store = Store(data / "gitlab.sqlite3")
    with store.write() as session:
        session.get_one(AccessToken, token_id).expires_at = yesterday
        session.query(DeployToken).filter_by(username=deploy_username).one().expires_at = yesterday
    store.close()


def _running_job(stage: Stage) -> str:
    """The token of a job that a runner has taken, of the user who may do most: the job may not."""
    action = {"action": "create", "file_path": ".gitlab-ci.yml", "content": "build: {script: [make]}"}
    place = f"/projects/{stage.project['id']}/repository/commits"
    runner = stage.post("/user/runners", runner_type="instance_type", run_untagged=True)
    stage.tokens["runner"] = runner["token"]
    stage.post(place, branch="main", commit_message="Begin", actions=[action])
    job = httpx.post(f"{stage.url}/api/v4/jobs/request", json={"token": runner["token"], "info": {}}, timeout=30)
    assert job.status_code == 201, job.text
    return str(job.json()["token"])


OPENED = {
    "api": (200, 201, 200, 200, 200, 200),
    "read_api": (200, 403, 200, 403, 403, 200),
    "read_user": (403, 403, 200, 403, 403, 403),
    "read_repository": (403, 403, 403, 200, 403, 403),
    "write_repository": (403, 403, 403, 200, 200, 403),
    "revoked": (401, 401, 401, 401, 401, 401),
    "expired": (401, 401, 401, 401, 401, 401),
    "project": (200, 201, 200, 200, 200, 404),
    "project guest": (200, 403, 200, 403, 403, 404),
    "group": (200, 201, 200, 200, 200, 200),
    "deploy": (401, 401, 401, 200, 403, 401),
    "deploy expired": (401, 401, 401, 401, 401, 401),
    "job": (200, 401, 401, 200, 403, 403),
}
"""The status of each act. A job's token opens the endpoints listed for it, and other projects by allow-list."""


@pytest.mark.oracle("GitLab's documentation: what each token opens")
@pytest.mark.parametrize("name", OPENED)
def test_a_token_opens_what_it_opens_in_gitlab(stage: Stage, name: str) -> None:
    assert dict(zip(ACTS, [stage.do(act, name) for act in ACTS], strict=True)) == dict(
        zip(ACTS, OPENED[name], strict=True)
    )


def test_a_job_enters_another_project_by_its_allow_list(stage: Stage) -> None:
    place = f"/projects/{stage.other['id']}/job_token_scope/allowlist"
    assert stage.do("read another project", "job") == 403
    stage.post(place, target_project_id=stage.project["id"])
    assert stage.do("read another project", "job") == 200
    assert stage.root.delete(f"{place}/{stage.project['id']}").status_code == 204
    assert stage.do("read another project", "job") == 403


def test_a_job_that_has_ended_opens_nothing(stage: Stage) -> None:
    token = stage.tokens["job"]
    me = httpx.get(f"{stage.url}/api/v4/job", headers={"JOB-TOKEN": token})
    assert me.status_code == 200
    done = {"token": token, "state": "success"}
    assert httpx.put(f"{stage.url}/api/v4/jobs/{me.json()['id']}", json=done).status_code == 200
    assert stage.do("read the project", "job") == 401
    assert stage.do("fetch", "job") == 401


def test_what_is_wrong_with_a_token_is_told(stage: Stage) -> None:
    def told(name: str, method: str = "GET") -> dict[str, Any]:
        place = f"{stage.url}/api/v4/projects/{stage.project['id']}/repository/branches"
        answer = httpx.request(method, place, headers={"PRIVATE-TOKEN": stage.tokens[name]}, json={})
        said: dict[str, Any] = answer.json()
        return said

    assert told("expired")["error"] == "invalid_token"
    assert "expired" in told("expired")["error_description"]
    assert "revoked" in told("revoked")["error_description"]
    assert told("read_api", "POST")["error"] == "insufficient_scope"
    assert told("read_api", "POST")["scope"] == "api"


def test_tokens_are_shown_once_and_kept_nowhere(stage: Stage) -> None:
    shown = [
        stage.root.get(path).text
        for path in (
            "/personal_access_tokens",
            f"/projects/{stage.project['id']}/access_tokens",
            f"/groups/{stage.group['id']}/access_tokens",
            f"/projects/{stage.project['id']}/deploy_tokens",
            "/runners/all",
        )
    ]
    kept = [path for path in stage.data.rglob("*") if path.is_file()]
    assert any(path.name.startswith("gitlab.sqlite3") for path in kept)
    content = {path: path.read_bytes() for path in kept}
    for name, token in stage.tokens.items():
        assert all(token not in text for text in shown), name
        assert [path for path, text in content.items() if token.encode() in text] == [], name
