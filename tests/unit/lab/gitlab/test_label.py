"""Labels of projects and groups."""

from __future__ import annotations

from typing import Any

import gitlab
import pytest

from tests.unit.lab.gitlab.conftest import Served


@pytest.fixture
def place(root: gitlab.Gitlab, request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A group and a project in it, named after the test."""
    name = f"labels-{abs(hash(request.node.nodeid)) % 10**9}"
    group = root.groups.create({"name": name, "path": name})
    return group, root.projects.create({"name": name, "namespace_id": group.id})


def test_a_label_is_made_found_changed_and_deleted(place: tuple[Any, Any]) -> None:
    _, project = place
    made = project.labels.create({"name": "bug", "color": "#abc", "description": "wrong", "priority": 2})
    assert (made.color, made.text_color, made.priority, made.is_project_label) == ("#aabbcc", "#1F1E24", 2, True)
    made.new_name = "a:defect"
    made.save()
    assert project.labels.get("a:defect").description == "wrong"
    assert project.labels.get(made.id).id == made.id
    made.delete()
    assert project.labels.list(get_all=True) == []


def test_a_groups_labels_are_its_projects_too(place: tuple[Any, Any]) -> None:
    group, project = place
    group.labels.create({"name": "team", "color": "#112233"})
    project.labels.create({"name": "Own", "color": "#112233"})
    assert [label.name for label in project.labels.list(get_all=True)] == ["Own", "team"]
    assert [label.name for label in project.labels.list(include_ancestor_groups=False, get_all=True)] == ["Own"]
    assert not project.labels.get("team").is_project_label
    with pytest.raises(gitlab.GitlabUpdateError, match="Label Not Found"):
        project.labels.update("team", {"color": "#445566"})


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        pytest.param({"name": "bug", "color": "#112233"}, 409, "Label already exists", id="twice"),
        pytest.param({"name": "x", "color": "blueish"}, 400, "must be a valid color code", id="color"),
        pytest.param({"name": "a,b", "color": "#112233"}, 400, "is invalid", id="comma"),
        pytest.param({"name": " ", "color": "#112233"}, 400, "can't be blank", id="blank"),
    ],
)
def test_a_label_that_cannot_be(place: tuple[Any, Any], given: dict[str, str], code: int, told: str) -> None:
    _, project = place
    project.labels.create({"name": "bug", "color": "#112233"})
    with pytest.raises(gitlab.GitlabCreateError) as caught:
        project.labels.create(given)
    assert caught.value.response_code == code
    assert told in str(caught.value)
    assert len(project.labels.list(get_all=True)) == 1


def test_a_subscription_is_the_users_own(served: Served, place: tuple[Any, Any]) -> None:
    _, project = place
    label = project.labels.create({"name": "bug", "color": "#112233"})
    label.subscribe()
    user, client = served.user(f"label-{project.id}")
    project.members.create({"user_id": user.id, "access_level": 10})
    assert project.labels.get("bug").subscribed
    assert not client.projects.get(project.id).labels.get("bug").subscribed
    label.unsubscribe()
    assert not project.labels.get("bug").subscribed
