"""Who may call what: every endpoint of a project or group, for every role, against GitLab's own table of roles."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from infra.lab.gitlab.api.route import Entry
from tests.likeness.conftest import TOKEN, served
from tests.likeness.openapi import routes

LEVELS = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
TABLE: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(
    Path(__file__).with_name("permissions.yaml").read_text(encoding="utf-8")
)
ROWS = {endpoint: (least, row) for least, rows in TABLE.items() for endpoint, row in rows.items()}
ACTORS = (*LEVELS, "admin", "outsider", "anonymous")
UNSEEN = ("404 Project Not Found", "404 Group Not Found")
PATHS = {"file_path": "README.md", "branch": "main", "name": "main", "sha": "main", "ref_name": "main"}
NOBODY = "99999"
"""The id of nothing: who may ask for it is told that it is not there, and nothing is changed."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Two groups, each with a project below: in one the members are the group's, in the other the project's."""

    client: httpx.Client
    tokens: dict[str, str | None]
    places: dict[str, dict[str, int]]
    sha: str
    numbers: Iterator[int]

    def ask(self, actor: str, place: str, endpoint: str, row: dict[str, Any]) -> httpx.Response:
        """The call as this actor."""
        method, _, path = endpoint.partition(" ")
        number = next(self.numbers)
        whose = self.places[place][path.split("/")[1]]
        named = {**PATHS, **row.get("path", {}), "id": str(whose)}
        path = re.sub(r":(\w+)", lambda found: str(self._filled(named.get(found[1], NOBODY), number)), path)
        token = self.tokens[actor]
        return self.client.request(
            method,
            path,
            headers={"PRIVATE-TOKEN": token} if token else {},
            params=row.get("query"),
            json=self._filled(row["body"], number) if "body" in row else None,
            files={"file": ("x.txt", b"x")} if row.get("file") else None,
        )

    def _filled(self, value: Any, number: int) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(each, number) for key, each in value.items()}
        if isinstance(value, list):
            return [self._filled(each, number) for each in value]
        if not isinstance(value, str):
            return value
        tomorrow = str(date.today() + timedelta(days=1))
        return value.replace("{n}", str(number)).replace("{sha}", self.sha).replace("{tomorrow}", tomorrow)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """People of every role, in both places."""
    with served(tmp_path_factory.mktemp("permissions")) as url, httpx.Client(base_url=f"{url}/api/v4") as client:
        yield _set(client)


def _set(client: httpx.Client) -> Stage:
    def post(path: str, /, **body: Any) -> dict[str, Any]:
        answer = client.post(path, json=body, headers={"PRIVATE-TOKEN": TOKEN})
        assert answer.is_success, (path, answer.text)
        made: dict[str, Any] = answer.json()
        return made

    places = {}
    sha = ""
    for name in ("inherited", "direct"):
        above = post("/groups", name=f"{name}-above", path=f"{name}-above")
        group = post("/groups", name=name, path=name, parent_id=above["id"])
        project = post("/projects", name=name, namespace_id=group["id"], initialize_with_readme=True)
        config = {"action": "create", "file_path": ".gitlab-ci.yml", "content": "build: {script: [make]}"}
        one = post(
            f"/projects/{project['id']}/repository/commits", branch="main", commit_message="Begin", actions=[config]
        )
        post(f"/projects/{project['id']}/repository/branches", branch="feature", ref="main")
        places[name] = {"projects": project["id"], "groups": group["id"], "above": above["id"]}
        sha = one["id"]
    tokens: dict[str, str | None] = {"admin": TOKEN, "anonymous": None}
    for name in (*LEVELS, "outsider"):
        user = post("/users", username=f"the-{name}", name=name, email=f"{name}@example.org", password="long enough 1")
        tokens[name] = post(f"/users/{user['id']}/personal_access_tokens", name="x", scopes=["api"])["token"]
        if name in LEVELS:
            member = {"user_id": user["id"], "access_level": LEVELS[name]}
            post(f"/groups/{places['inherited']['above']}/members", **member)
            post(f"/groups/{places['direct']['groups']}/members", **member)
            if name != "owner":
                post(f"/projects/{places['direct']['projects']}/members", **member)
    return Stage(client=client, tokens=tokens, places=places, sha=sha, numbers=itertools.count(1))


def expected(actor: str, least: str, row: dict[str, Any]) -> int | None:
    """The status of a refusal; None: it is let in."""
    if actor == "anonymous":
        return 404 if row.get("open") else 401
    if actor == "outsider":
        return 404
    return None if actor == "admin" or LEVELS[actor] >= LEVELS[least] else 403


def problem(actor: str, wanted: int | None, answer: httpx.Response) -> str:
    """What is wrong with an answer; nothing when it is right."""
    said = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
    text = said.get("message") if isinstance(said, dict) else ""
    if wanted is None:
        refused = answer.status_code in (401, 403) or answer.status_code >= 500 or text in UNSEEN
        return f"{actor} is let in by GitLab, and answered {answer.status_code} {text}" if refused else ""
    if answer.status_code != wanted:
        return f"{actor} is answered {wanted} by GitLab, and here {answer.status_code} {text}"
    return f"{actor} is told {text}, which says that there is more" if wanted == 404 and text not in UNSEEN else ""


@pytest.mark.oracle("GitLab's roles: each endpoint for nine actors")
@pytest.mark.parametrize("endpoint", ROWS)
def test_roles_open_what_they_open_in_gitlab(stage: Stage, endpoint: str) -> None:
    least, row = ROWS[endpoint]
    problems = []
    for place in ("inherited", "direct") if endpoint.startswith("GET") else ("inherited",):
        for actor in ACTORS:
            wanted = expected(actor, least, row)
            if wanted is None and row.get("refusals"):
                continue
            if said := problem(actor, wanted, stage.ask(actor, place, endpoint, row)):
                problems.append(f"{place}: {said}")
    assert problems == []


def test_every_endpoint_of_projects_and_groups_has_a_row() -> None:
    known = set(ROWS)
    asked = {
        f"{route.method} {route.path}"
        for route in routes()
        if route.path.startswith(("/projects/:id", "/groups/:id"))
        and route.entry in (Entry.USER, Entry.ANYONE)
        and not re.search(r":part[1-9]|self/rotate", route.path)
    }
    # GitLab looks for the thing before it looks at the role: the unit tests have these.
    asked -= {f"{method} /projects/:id/{path}" for method, path in _BY_THING}
    assert asked - known == set()
    assert known - asked == set()


_MERGE_REQUEST, _ISSUE = "merge_requests/:merge_request_iid", "issues/:issue_iid"
_BY_THING = (
    *((method, f"{thing}/notes/:note_id") for method in ("PUT", "DELETE") for thing in (_ISSUE, _MERGE_REQUEST)),
    *(("PUT", _ISSUE), ("DELETE", _ISSUE)),
    *(
        ("GET", f"{_MERGE_REQUEST}/notes"),
        ("POST", f"{_MERGE_REQUEST}/notes"),
        ("GET", f"{_MERGE_REQUEST}/notes/:note_id"),
    ),
    *(("PUT", _MERGE_REQUEST), ("PUT", f"{_MERGE_REQUEST}/merge")),
    ("POST", f"{_MERGE_REQUEST}/cancel_merge_when_pipeline_succeeds"),
)


@pytest.mark.parametrize("actor", ["owner", "outsider", "anonymous"])
def test_what_is_for_administrators_is_for_nobody_else(stage: Stage, actor: str) -> None:
    problems = []
    for route in routes():
        if route.entry is not Entry.ADMIN:
            continue
        path = re.sub(r":\w+", NOBODY, route.path)
        token = stage.tokens[actor]
        answer = stage.client.request(route.method, path, headers={"PRIVATE-TOKEN": token} if token else {})
        if answer.status_code != (403 if token else 401):
            problems.append(f"{route.method} {route.path}: {answer.status_code}")
    assert problems == []


def test_nobody_is_asked_to_sign_in_where_the_user_is_meant(stage: Stage) -> None:
    own = [
        route for route in routes() if route.entry is Entry.USER and not route.path.startswith(("/projects/:id", "/g"))
    ]
    assert own
    for route in own:
        path = re.sub(r":\w+", NOBODY, route.path)
        assert stage.client.request(route.method, path).status_code == 401, route.path


def test_a_guest_sees_a_release_without_its_code(stage: Stage) -> None:
    project = stage.places["inherited"]["projects"]
    body = {"tag_name": "v1", "ref": "main"}
    made = stage.client.post(f"/projects/{project}/releases", json=body, headers={"PRIVATE-TOKEN": TOKEN})
    assert made.status_code == 201
    shown = {
        actor: stage.client.get(
            f"/projects/{project}/releases", headers={"PRIVATE-TOKEN": stage.tokens[actor] or ""}
        ).json()[0]
        for actor in ("guest", "reporter")
    }
    assert "commit" in shown["reporter"]
    assert shown["reporter"]["assets"]["sources"]
    assert not {"commit", "commit_path", "tag_path"} & shown["guest"].keys()
    assert shown["guest"]["assets"]["sources"] == []


@pytest.mark.parametrize(
    ("wanted", "status", "text", "told"),
    [
        pytest.param(None, 200, "", "", id="let-in"),
        pytest.param(None, 404, "404 Not found", "", id="let-in-to-nothing"),
        pytest.param(None, 403, "403 Forbidden", "is let in by GitLab", id="refused"),
        pytest.param(None, 404, "404 Project Not Found", "is let in by GitLab", id="unseen"),
        pytest.param(403, 404, "404 Project Not Found", "answered 403 by GitLab", id="hidden"),
        pytest.param(404, 404, "404 Branch Not Found", "says that there is more", id="tells-too-much"),
        pytest.param(401, 401, "401 Unauthorized", "", id="nobody"),
    ],
)
def test_a_wrong_answer_is_told(wanted: int | None, status: int, text: str, told: str) -> None:
    found = problem("guest", wanted, httpx.Response(status, json={"message": text}))
    assert told in found
    assert bool(told) is bool(found)
