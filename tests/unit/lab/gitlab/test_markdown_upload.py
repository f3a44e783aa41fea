"""Files that are put into a project, and who reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gitlab
import pytest

from infra.lab.gitlab.api import markdown_upload
from infra.lab.gitlab.store.upload import Upload
from tests.unit.lab.gitlab.conftest import Served


@pytest.fixture
def project(root: gitlab.Gitlab, request: pytest.FixtureRequest) -> Any:
    return root.projects.create({"name": f"uploads-{abs(hash(request.node.nodeid)) % 10**9}"})


def _files(served: Served, project: Any) -> list[Path]:
    folder = served.instance.settings.data / "uploads" / "markdown" / str(project.id)
    return [each for each in folder.rglob("*") if each.is_file()]


def _put(served: Served, project: Any, name: str, content: bytes = b"content") -> dict[str, Any]:
    answer = served.http().post(f"/projects/{project.id}/uploads", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_file_is_put_listed_read_and_deleted(served: Served, project: Any) -> None:
    made, http, place = _put(served, project, "fills.csv"), served.http(), f"/projects/{project.id}/uploads"
    secret = made["url"].split("/")[2]
    assert made["markdown"] == f"[fills.csv](/uploads/{secret}/fills.csv)"
    assert made["full_path"] == f"/-/project/{project.id}{made['url']}"
    [row] = http.get(place).json()
    assert (row["id"], row["filename"], row["size"]) == (made["id"], "fills.csv", 7)
    assert row["uploaded_by"]["username"] == "root"
    for path in (f"{place}/{made['id']}", f"{place}/{secret}/fills.csv"):
        answer = http.get(path)
        assert (answer.content, answer.headers["content-type"]) == (b"content", "application/octet-stream")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert http.get(f"{place}/{secret}/other.csv").json() == {"message": "404 Not Found"}
    assert http.delete(f"{place}/{secret}/fills.csv").status_code == 204
    assert http.get(f"{place}/{made['id']}").status_code == 404
    assert _files(served, project) == []
    again = _put(served, project, "fills.csv")
    assert http.delete(f"{place}/{again['id']}").status_code == 204
    assert http.get(place).json() == []


def test_a_picture_is_shown(served: Served, project: Any) -> None:
    made = _put(served, project, "Chart.PNG")
    assert (made["alt"], made["markdown"]) == ("Chart", f"![Chart]({made['url']})")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("a b&c.txt", "a_b_c.txt"),
        ("..", "_.."),
        ("ü.txt", "ü.txt"),
        ("a\\b.txt", "b.txt"),
    ],
)
def test_a_name_leads_nowhere(served: Served, project: Any, name: str, kept: str) -> None:
    made = _put(served, project, name)
    assert made["alt"] == kept
    assert [each.name for each in _files(served, project)] == [kept]


def test_what_is_no_file_or_too_large_is_refused(served: Served, project: Any, root: gitlab.Gitlab) -> None:
    http, place = served.http(), f"/projects/{project.id}/uploads"
    assert http.post(place, json={"file": "x"}).json() == {"error": "file is invalid"}
    assert http.post(place).json() == {"error": "file is missing"}
    settings = root.settings.get()
    before, settings.max_attachment_size = settings.max_attachment_size, 0
    settings.save()
    try:
        assert http.post(place, files={"file": ("x", b"x")}).status_code == 413
    finally:
        settings.max_attachment_size = before
        settings.save()
    assert _files(served, project) == []


def test_a_secret_opens_for_guests_and_a_number_for_maintainers(served: Served, project: Any) -> None:
    made, place = _put(served, project, "x.txt"), f"/projects/{project.id}/uploads"
    codes = {}
    for name, level in (("guest", 10), ("developer", 30), ("maintainer", 40)):
        user, client = served.user(f"{name}-{project.id}")
        project.members.create({"user_id": user.id, "access_level": level})
        http = served.http(client.private_token)
        paths = (f"{place}{made['url'].removeprefix('/uploads')}", f"{place}/{made['id']}", place)
        codes[name] = [http.get(path).status_code for path in paths]
    assert codes == {"guest": [200, 403, 403], "developer": [200, 403, 403], "maintainer": [200, 200, 200]}


def test_a_file_of_another_project_is_not_there(served: Served, project: Any, root: gitlab.Gitlab) -> None:
    made = _put(served, project, "x.txt")
    other = root.projects.create({"name": f"{project.name}-other"})
    http = served.http()
    assert http.get(f"/projects/{other.id}/uploads/{made['id']}").status_code == 404
    assert http.get(f"/projects/{other.id}{made['url']}").status_code == 404


def test_files_go_with_their_project(served: Served, project: Any) -> None:
    _put(served, project, "x.txt")
    assert _files(served, project)
    project.delete()
    assert _files(served, project) == []


def test_files_that_nobody_noted_are_swept(served: Served, project: Any) -> None:
    made = _put(served, project, "kept.txt")
    lost = _put(served, project, "lost.txt")
    with served.instance.store.write() as session:
        session.delete(session.get_one(Upload, lost["id"]))
    markdown_upload._sweep(served.instance)
    assert [each.name for each in _files(served, project)] == ["kept.txt"]
    assert served.http().get(f"/projects/{project.id}/uploads/{made['id']}").content == b"content"
