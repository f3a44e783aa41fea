"""Issues: what may be said of them, who sees them, who changes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gitlab
import httpx
import pytest

from tests.unit.lab.gitlab.conftest import Served

Member = Callable[[str, int], tuple[Any, httpx.Client]]


@pytest.fixture
def project(root: gitlab.Gitlab, request: pytest.FixtureRequest) -> Any:
    return root.projects.create({"name": f"issues-{abs(hash(request.node.nodeid)) % 10**9}"})


@pytest.fixture
def member(served: Served, project: Any) -> Member:
    """A new user with a role in the project (0: none), and a client of theirs that begins at the project."""

    def make(name: str, level: int) -> tuple[Any, httpx.Client]:
        user, client = served.user(f"{name}-{project.id}")
        if level:
            project.members.create({"user_id": user.id, "access_level": level})
        http = served.http(client.private_token)
        http.base_url = http.base_url.join(f"/api/v4/projects/{project.id}/")
        return user, http

    return make


def test_an_issue_is_made_changed_closed_reopened_and_deleted(project: Any, root: gitlab.Gitlab) -> None:
    made = project.issues.create(
        {"title": "Late fills", "description": "- [x] look\n- [ ] mend\n1. [ ] tell", "labels": "bug,desk"}
    )
    assert (made.iid, made.state, made.labels) == (1, "opened", ["bug", "desk"])
    assert made.task_completion_status == {"count": 3, "completed_count": 1}
    assert made.references["full"] == f"{project.path_with_namespace}#1"
    assert made.author["username"] == "root"
    made.title, made.add_labels, made.remove_labels, made.due_date = "Lost fills", ["hot"], ["desk"], "2026-01-31"
    made.save()
    again = project.issues.get(1)
    assert (again.title, again.labels, again.due_date) == ("Lost fills", ["bug", "hot"], "2026-01-31")
    again.state_event = "close"
    again.save()
    assert (again.state, again.attributes["closed_by"]["username"]) == ("closed", "root")
    assert root.projects.get(project.id).open_issues_count == 0
    again.state_event = "reopen"
    again.save()
    assert (again.state, again.closed_at, again.attributes["closed_by"]) == ("opened", None, None)
    assert root.projects.get(project.id).open_issues_count == 1
    again.delete()
    assert project.issues.list(get_all=True) == []
    assert project.issues.create({"title": "next"}).iid == 2


@pytest.mark.parametrize(
    ("given", "found"),
    [
        pytest.param({}, [3, 2, 1], id="newest-first"),
        pytest.param({"sort": "asc", "order_by": "title"}, [3, 1, 2], id="order"),
        pytest.param({"state": "closed"}, [2], id="state"),
        pytest.param({"labels": "bug"}, [3, 1], id="label"),
        pytest.param({"labels": "bug,hot"}, [3], id="both-labels"),
        pytest.param({"labels": "bu"}, [], id="not-a-part-of-a-label"),
        pytest.param({"labels": "Any"}, [3, 1], id="any-label"),
        pytest.param({"labels": "None"}, [2], id="no-label"),
        pytest.param({"iids[]": [1, 2]}, [2, 1], id="iids"),
        pytest.param({"search": "FILLS"}, [1], id="search"),
        pytest.param({"author_username": "root"}, [3, 2, 1], id="author"),
        pytest.param({"author_id": 99999}, [], id="another-author"),
        pytest.param({"assignee_id": "None"}, [3, 2], id="nobody"),
        pytest.param({"assignee_id": "any"}, [1], id="somebody"),
        pytest.param({"assignee_username[]": ["root"]}, [1], id="assignee"),
        pytest.param({"confidential": True}, [3], id="confidential"),
        pytest.param({"created_before": "2001-01-01T00:00:00Z"}, [], id="before"),
    ],
)
def test_issues_are_found(served: Served, project: Any, given: dict[str, Any], found: list[int]) -> None:
    me = served.client().users.list(username="root")[0].id
    project.issues.create({"title": "m", "description": "late fills", "labels": "bug", "assignee_id": me})
    project.issues.create({"title": "z"}).manager.update(2, {"state_event": "close"})
    project.issues.create({"title": "a", "labels": ["bug", "hot"], "confidential": True})
    answer = served.http().get(f"/projects/{project.id}/issues", params=given)
    assert [each["iid"] for each in answer.json()] == found
    assert answer.headers["x-total"] == str(len(found))


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        pytest.param({}, 400, "title is missing", id="no-title"),
        pytest.param({"title": " "}, 400, "can't be blank", id="blank"),
        pytest.param({"title": "x" * 256}, 400, "is too long", id="long"),
        pytest.param({"title": "x", "issue_type": "wish"}, 400, "issue_type does not have a valid value", id="type"),
        pytest.param({"title": "x", "issue_type": "incident"}, 501, "incident", id="incident"),
        pytest.param({"title": "x", "milestone_id": 1}, 501, "milestone_id", id="milestone"),
        pytest.param({"title": "x", "due_date": "soon"}, 400, "due_date is invalid", id="date"),
        pytest.param({"title": "x", "description": "hello\n/close"}, 501, "/close", id="quick-action"),
    ],
)
def test_an_issue_that_cannot_be(served: Served, project: Any, given: dict[str, Any], code: int, told: str) -> None:
    answer = served.http().post(f"/projects/{project.id}/issues", json=given)
    assert (answer.status_code, told in answer.text) == (code, True), answer.text
    assert project.issues.list(get_all=True) == []


def test_what_only_looks_like_a_quick_action_is_text(project: Any) -> None:
    text = "/usr/bin\n/closer look\n```\n/close\n```"
    assert project.issues.create({"title": "x", "description": text}).description == text


def test_nothing_to_change_is_an_error(served: Served, project: Any) -> None:
    project.issues.create({"title": "x"})
    answer = served.http().put(f"/projects/{project.id}/issues/1", json={})
    assert (answer.status_code, "at least one parameter must be provided" in answer.text) == (400, True)


def test_guests_write_issues_and_change_their_own(member: Member, project: Any) -> None:
    project.issues.create({"title": "the desk's"})
    _, guest = member("guest", 10)
    made = guest.post("issues", json={"title": "mine", "labels": "bug"}).json()
    assert made["labels"] == ["bug"]
    assert guest.put("issues/2", json={"title": "still mine", "labels": "other"}).json()["labels"] == ["bug"]
    assert guest.put("issues/2", json={"state_event": "close"}).json()["state"] == "closed"
    assert guest.put("issues/1", json={"title": "not mine"}).status_code == 403
    assert project.issues.get(1).title == "the desk's"
    assert guest.put("issues/3", json={"title": "nothing"}).status_code == 404


@pytest.mark.parametrize(
    ("level", "code"),
    [(10, 403), (15, 204), (20, 403), (30, 403), (40, 403), (50, 204)],
    ids=["guest", "planner", "reporter", "developer", "maintainer", "owner"],
)
def test_planners_and_owners_delete(member: Member, project: Any, level: int, code: int) -> None:
    """GitLab's config/authz/roles: `destroy_issue`."""
    project.issues.create({"title": "x"})
    _, client = member("deleter", level)
    assert client.delete("issues/9").json() == {"message": "404 Issue Not Found"}
    assert client.delete("issues/1").status_code == code


def test_a_confidential_issue_is_seen_by_few(member: Member, project: Any, root: gitlab.Gitlab) -> None:
    guest, as_guest = member("guest", 10)
    _, as_planner = member("planner", 15)
    project.issues.create({"title": "secret", "confidential": True})
    project.issues.create({"title": "theirs", "confidential": True, "assignee_ids": [guest.id]})
    assert [each["iid"] for each in as_planner.get("issues").json()] == [2, 1]
    assert [each["iid"] for each in as_guest.get("issues").json()] == [2]
    assert as_guest.get("issues/1").status_code == 404
    assert as_guest.get("").json()["open_issues_count"] == 1


def test_an_assignee_must_see_the_project(member: Member, project: Any) -> None:
    outsider, _ = member("outsider", 0)
    guest, _ = member("guest", 10)
    issue = project.issues.create({"title": "x", "assignee_ids": [outsider.id, guest.id]})
    assert issue.assignee["id"] == guest.id
    issue.assignee_ids = [0]
    issue.save()
    assert issue.assignees == []


def test_a_project_without_issues_has_none(member: Member, project: Any) -> None:
    project.issues.create({"title": "x"})
    project.issues_access_level = "disabled"
    project.save()
    _, guest = member("guest", 10)
    assert guest.get("issues").json() == []
    assert guest.get("issues/1").status_code == 404
    assert guest.post("issues", json={"title": "x"}).status_code == 403
    assert guest.put("issues/1", json={"title": "y"}).status_code == 403


def test_an_archived_project_takes_no_issues(served: Served, project: Any) -> None:
    project.issues.create({"title": "x"})
    project.archive()
    http = served.http()
    assert http.post(f"/projects/{project.id}/issues", json={"title": "y"}).status_code == 403
    assert http.put(f"/projects/{project.id}/issues/1", json={"title": "y"}).status_code == 403
    assert http.delete(f"/projects/{project.id}/issues/1").status_code == 403
    assert http.get(f"/projects/{project.id}/issues/1").json()["title"] == "x"


def test_labels_count_their_issues(project: Any) -> None:
    project.labels.create({"name": "bug", "color": "#112233"})
    for title in ("one", "two"):
        project.issues.create({"title": title, "labels": "bug"})
    project.issues.update(1, {"state_event": "close"})
    [label] = project.labels.list(with_counts=True, get_all=True)
    assert (label.open_issues_count, label.closed_issues_count) == (1, 1)
