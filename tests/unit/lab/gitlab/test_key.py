"""Whose key it is."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.lab.gitlab.conftest import Served

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2cTDDvYHzD8Q9SKRmBvzvDdqN0UvzYyVfPbtQcVMmm desk"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2cTDDvYHzD8Q9SKRmBvzvDdqN0UvzYyVfPbtQcVMmn machine"


@pytest.fixture(scope="module")
def made(served: Served) -> dict[str, Any]:
    """A user with a key, and a project with a deploy key."""
    root = served.client()
    user, _ = served.user("keeper")
    key = user.keys.create({"title": "laptop", "key": KEY})
    project = root.projects.create({"name": "keys"})
    deploy = project.keys.create({"title": "machine", "key": OTHER, "can_push": True})
    return {"user": user.id, "key": key.id, "project": project.id, "deploy": deploy}


def test_a_key_tells_its_user(served: Served, made: dict[str, Any]) -> None:
    shown = served.http().get(f"/keys/{made['key']}").json()
    assert (shown["title"], shown["key"], shown["user"]["id"]) == ("laptop", KEY, made["user"])


def test_a_fingerprint_finds_users_and_deploy_keys(served: Served, made: dict[str, Any]) -> None:
    http, deploy = served.http(), made["deploy"]
    md5 = ":".join(deploy.fingerprint[at : at + 2] for at in range(0, 32, 2))
    for fingerprint in (deploy.fingerprint_sha256, md5, f"MD5:{md5}"):
        found = http.get("/keys", params={"fingerprint": fingerprint}).json()
        assert (found["title"], found["user"]["username"]) == ("machine", "root")
        assert found["deploy_keys_projects"] == [
            {"deploy_key_id": deploy.id, "project_id": made["project"], "can_push": True}
        ]


@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        pytest.param("/keys", 400, "fingerprint is missing", id="no-fingerprint"),
        pytest.param("/keys?fingerprint=x", 400, "Failed to return the key", id="no-fingerprint-at-all"),
        pytest.param(f"/keys?fingerprint=SHA256:{'A' * 43}", 404, "404 Key Not Found", id="unknown"),
        pytest.param("/keys/99999", 404, "404 Not found", id="no-such-key"),
    ],
)
def test_a_key_that_is_not_there(served: Served, path: str, code: int, told: str) -> None:
    answer = served.http().get(path)
    assert (answer.status_code, told in answer.text) == (code, True), answer.text
