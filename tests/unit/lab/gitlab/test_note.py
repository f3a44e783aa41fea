"""Comments on issues and merge requests."""

from __future__ import annotations

from typing import Any

import gitlab
import httpx
import pytest

from infra.lab.gitlab.store.note import Note
from tests.unit.lab.gitlab.conftest import Served

KINDS = ("issues", "merge_requests")


@pytest.fixture
def project(root: gitlab.Gitlab, request: pytest.FixtureRequest) -> Any:
    """With an issue 1 and a merge request 1."""
    name = f"notes-{abs(hash(request.node.nodeid)) % 10**9}"
    project = root.projects.create({"name": name, "initialize_with_readme": True})
    project.issues.create({"title": "late fills"})
    action = {"action": "create", "file_path": "fills.txt", "content": "x"}
    project.commits.create({"branch": "work", "start_branch": "main", "commit_message": "Mend", "actions": [action]})
    project.mergerequests.create({"title": "Mend", "source_branch": "work", "target_branch": "main"})
    return project


def _as(served: Served, project: Any, name: str, level: int) -> httpx.Client:
    user, client = served.user(f"{name}-{project.id}")
    if level:
        project.members.create({"user_id": user.id, "access_level": level})
    http = served.http(client.private_token)
    http.base_url = http.base_url.join(f"/api/v4/projects/{project.id}/")
    return http


@pytest.mark.parametrize("kind", KINDS)
def test_a_comment_is_made_found_changed_and_deleted(served: Served, project: Any, kind: str) -> None:
    http, place = served.http(), f"/projects/{project.id}/{kind}/1"
    first = http.post(f"{place}/notes", json={"body": "first"}).json()
    second = http.post(f"{place}/notes", json={"body": "second"}).json()
    assert (first["noteable_type"], first["noteable_iid"]) == ("Issue" if kind == "issues" else "MergeRequest", 1)
    assert [each["id"] for each in http.get(f"{place}/notes").json()] == [second["id"], first["id"]]
    assert [each["body"] for each in http.get(f"{place}/notes?sort=asc").json()] == ["first", "second"]
    assert http.get(f"{place}/notes?activity_filter=only_activity").json() == []
    assert http.get(place).json()["user_notes_count"] == 2
    assert http.put(f"{place}/notes/{first['id']}", json={"body": "better"}).json()["body"] == "better"
    assert http.get(f"{place}/notes/{first['id']}").json()["body"] == "better"
    assert http.delete(f"{place}/notes/{first['id']}").status_code == 204
    assert http.get(f"{place}/notes/{first['id']}").json() == {"message": "404 Not found"}
    assert http.get(place).json()["user_notes_count"] == 1


def test_a_comment_is_only_where_it_was_made(served: Served, project: Any) -> None:
    project.issues.create({"title": "another"})
    note = project.issues.get(1).notes.create({"body": "x"})
    http = served.http()
    for place in ("issues/2", "merge_requests/1"):
        assert http.get(f"/projects/{project.id}/{place}/notes").json() == []
        assert http.get(f"/projects/{project.id}/{place}/notes/{note.id}").status_code == 404


@pytest.mark.parametrize(
    ("method", "given", "code", "told"),
    [
        pytest.param("POST", {}, 400, "body is missing", id="no-body"),
        pytest.param("POST", {"body": " "}, 400, "can't be blank", id="blank"),
        pytest.param("POST", {"body": "/label ~bug"}, 501, "/label", id="quick-action"),
        pytest.param("POST", {"body": "x", "created_at": "2001-01-01"}, 501, "created_at", id="date"),
        pytest.param("PUT", {"body": " "}, 400, "body is empty", id="emptied"),
        pytest.param("PUT", {"body": "see\n/merge"}, 501, "/merge", id="quick-action-later"),
    ],
)
def test_a_comment_that_cannot_be(
    served: Served, project: Any, method: str, given: dict[str, str], code: int, told: str
) -> None:
    note = project.issues.get(1).notes.create({"body": "as it was"})
    path = f"/projects/{project.id}/issues/1/notes" + (f"/{note.id}" if method == "PUT" else "")
    answer = served.http().request(method, path, json=given)
    assert (answer.status_code, told in answer.text) == (code, True), answer.text
    assert [each.body for each in project.issues.get(1).notes.list(get_all=True)] == ["as it was"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_comment_is_its_authors_and_the_maintainers(served: Served, project: Any, kind: str) -> None:
    author, other, maintainer = (_as(served, project, *who) for who in (("a", 15), ("b", 30), ("c", 40)))
    note = f"{kind}/1/notes/{author.post(f'{kind}/1/notes', json={'body': 'x'}).json()['id']}"
    assert other.put(note, json={"body": "y"}).status_code == 403
    assert other.delete(note).status_code == 403
    assert author.put(note, json={"body": "z"}).json()["body"] == "z"
    assert maintainer.delete(note).status_code == 204


def test_a_guest_hears_nothing_of_merge_requests(served: Served, project: Any) -> None:
    guest, planner = _as(served, project, "guest", 10), _as(served, project, "planner", 15)
    unseen = {"message": "404 MergeRequest Not Found"}
    for answer in (
        guest.get("merge_requests/1/notes"),
        guest.post("merge_requests/1/notes", json={"body": "x"}),
        planner.get("merge_requests/9/notes"),
    ):
        assert (answer.status_code, answer.json()) == (404, unseen)
    assert planner.post("merge_requests/1/notes", json={"body": "x"}).status_code == 201
    assert guest.post("issues/1/notes", json={"body": "x"}).status_code == 201
    assert guest.get("issues/9/notes").json() == {"message": "404 Issue Not Found"}


def test_an_internal_comment_is_for_planners_on(served: Served, project: Any) -> None:
    guest, reporter = _as(served, project, "guest", 10), _as(served, project, "reporter", 20)
    hidden = reporter.post("issues/1/notes", json={"body": "x", "internal": True}).json()
    assert hidden["internal"]
    assert guest.get("issues/1/notes").json() == []
    assert guest.get(f"issues/1/notes/{hidden['id']}").status_code == 404
    assert not guest.post("issues/1/notes", json={"body": "y", "internal": True}).json()["internal"]


def test_a_locked_discussion_is_for_members(served: Served, project: Any) -> None:
    project.visibility = "public"
    project.save()
    stranger, guest = _as(served, project, "stranger", 0), _as(served, project, "guest", 10)
    assert stranger.post("issues/1/notes", json={"body": "x"}).status_code == 201
    project.issues.update(1, {"discussion_locked": True})
    assert stranger.post("issues/1/notes", json={"body": "x"}).status_code == 403
    assert guest.post("issues/1/notes", json={"body": "x"}).status_code == 201
    assert served.http(None).get(f"/projects/{project.id}/issues/1/notes").status_code == 401


def test_comments_go_with_what_they_are_on(served: Served, project: Any) -> None:
    note = project.issues.get(1).notes.create({"body": "x"})
    project.issues.delete(1)
    with served.instance.store.read() as session:
        assert session.get(Note, note.id) is None
