"""Protected branches and tags against each way of moving a ref: API commit, push, forced push, merge, deletion, tag.

What is allowed is GitLab's documentation, "Protected branches" and "Protected tags".
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.git import environment
from tests.likeness.conftest import TOKEN, served

NO_ONE, DEVELOPERS, MAINTAINERS = 0, 30, 40
ACTS = ("commit", "push", "force", "merge", "delete")


@dataclass(kw_only=True)
class Stage:
    """A project with a developer and a maintainer."""

    url: str
    project: dict[str, Any]
    tokens: dict[str, str]
    folder: Path
    numbers: Iterator[int]

    def call(self, who: str, method: str, path: str, **body: Any) -> httpx.Response:
        """An endpoint of the project."""
        place = f"{self.url}/api/v4/projects/{self.project['id']}{path}"
        return httpx.request(method, place, headers={"PRIVATE-TOKEN": self.tokens[who]}, json=body, timeout=30)

    def branch(self, *, push: int, merge: int, force: bool) -> str:
        """A new branch, protected so."""
        name = f"b{next(self.numbers)}"
        rule = {"push_access_level": push, "merge_access_level": merge, "allow_force_push": force}
        assert self.call("root", "POST", "/repository/branches", branch=name, ref="main").status_code == 201
        assert self.call("root", "POST", "/protected_branches", name=name, **rule).status_code == 201
        return name

    def commit(self, who: str, branch: str, **more: Any) -> httpx.Response:
        """A commit by the API."""
        action = {"action": "create", "file_path": f"{next(self.numbers)}.txt", "content": "x"}
        return self.call(
            who, "POST", "/repository/commits", branch=branch, commit_message="x", actions=[action], **more
        )

    def push(self, who: str, branch: str, *, force: bool) -> bool:
        """A push by git of a commit that is new, or in place of the last one."""
        work = self.folder / f"work{next(self.numbers)}"
        address = self.project["http_url_to_repo"].replace("http://", f"http://x:{self.tokens[who]}@")
        self._git(None, "clone", "-q", "--branch", branch, address, str(work))
        words = ["commit", "-q", "--allow-empty", "-m", "Pushed"]
        self._git(work, *words, *(["--amend"] if force else []))
        return self._git(work, "push", "-q", *(["--force"] if force else []), "origin", branch, check=False)

    def _git(self, folder: Path | None, *words: str, check: bool = True) -> bool:
        return not subprocess.run(
            ["git", *words], cwd=folder or self.folder, env=environment(self.folder), capture_output=True, check=check
        ).returncode

    def may(self, act: str, who: str, branch: str) -> bool:
        """Whether an act is let through; what refuses it must do so with GitLab's status."""
        if act in ("push", "force"):
            return self.push(who, branch, force=act == "force")
        if act == "merge":
            source = f"s{next(self.numbers)}"
            assert self.commit("root", source, start_branch=branch).status_code == 201
            opened = self.call(
                "root", "POST", "/merge_requests", source_branch=source, target_branch=branch, title="x"
            ).json()
            answer = self.call(who, "PUT", f"/merge_requests/{opened['iid']}/merge")
            refusal = 401
        elif act == "commit":
            answer, refusal = self.commit(who, branch), 403
        else:
            answer, refusal = self.call(who, "DELETE", f"/repository/branches/{branch}"), 403
        assert answer.is_success or answer.status_code == refusal, (act, who, answer.status_code, answer.text)
        return answer.is_success


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One server for all."""
    folder = tmp_path_factory.mktemp("protection")
    with served(folder / "data") as url:
        headers = {"PRIVATE-TOKEN": TOKEN}

        def post(path: str, /, **body: Any) -> dict[str, Any]:
            made: dict[str, Any] = httpx.post(f"{url}/api/v4{path}", headers=headers, json=body, timeout=30).json()
            return made

        project = post("/projects", name="guarded", initialize_with_readme=True)
        tokens = {"root": TOKEN}
        for who, level in (("developer", 30), ("maintainer", 40)):
            user = post("/users", username=f"a-{who}", name=who, email=f"{who}@example.org", password="long enough 1")
            post(f"/projects/{project['id']}/members", user_id=user["id"], access_level=level)
            tokens[who] = post(f"/users/{user['id']}/personal_access_tokens", name="x", scopes=["api"])["token"]
        yield Stage(url=url, project=project, tokens=tokens, folder=folder, numbers=itertools.count(1))


@pytest.mark.oracle("GitLab's documentation: protected refs")
@pytest.mark.parametrize("who", ["developer", "maintainer"])
@pytest.mark.parametrize(
    ("push", "merge", "force", "allowed"),
    [
        pytest.param(MAINTAINERS, MAINTAINERS, False, {"maintainer": "commit push merge delete"}, id="maintainers"),
        pytest.param(
            NO_ONE,
            DEVELOPERS,
            False,
            {"developer": "merge", "maintainer": "merge delete"},
            id="by-merge-request-only",
        ),
        pytest.param(
            DEVELOPERS,
            NO_ONE,
            False,
            {"developer": "commit push merge", "maintainer": "commit push merge delete"},
            id="developers-push",
        ),
        pytest.param(
            DEVELOPERS,
            DEVELOPERS,
            True,
            {"developer": "commit push force merge", "maintainer": "commit push force merge delete"},
            id="forced-pushes",
        ),
        pytest.param(NO_ONE, NO_ONE, False, {"maintainer": "delete"}, id="no-one"),
    ],
)
def test_a_protected_branch_moves_as_it_says(
    stage: Stage, push: int, merge: int, force: bool, allowed: dict[str, str], who: str
) -> None:
    found = [act for act in ACTS if stage.may(act, who, stage.branch(push=push, merge=merge, force=force))]
    assert found == allowed.get(who, "").split()


@pytest.mark.oracle("GitLab's documentation: protected refs")
@pytest.mark.parametrize("who", ["developer", "maintainer"])
@pytest.mark.parametrize("level", [NO_ONE, DEVELOPERS, MAINTAINERS])
def test_a_protected_tag_is_made_by_whom_it_says(stage: Stage, level: int, who: str) -> None:
    name = f"t{next(stage.numbers)}"
    assert stage.call("root", "POST", "/protected_tags", name=f"{name}*", create_access_level=level).status_code == 201
    made = stage.call(who, "POST", "/repository/tags", tag_name=name, ref="main")
    role = {"developer": 30, "maintainer": 40}[who]
    assert made.status_code in ((201,) if NO_ONE < level <= role else (400, 403)), made.text
