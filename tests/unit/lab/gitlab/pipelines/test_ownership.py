"""What is only for whoever started a pipeline, and for maintainers."""

from __future__ import annotations

from typing import Any

import gitlab
import pytest

from tests.unit.lab.gitlab.conftest import Served

CI = "build: {script: [make]}\n"
VARIABLES = [{"key": "DESK", "value": "rates"}]


@pytest.fixture(scope="module")
def people(served: Served) -> dict[str, Any]:
    """A project as its administrator, two developers and an outsider have it."""
    root = served.client()
    project = root.projects.create({"name": "owned"})
    project.files.create({"file_path": ".gitlab-ci.yml", "branch": "main", "content": CI, "commit_message": "Begin"})
    project.branches.create({"branch": "feature", "ref": "main"})
    project.protectedbranches.delete("main")
    project.protectedbranches.create({"name": "main", "push_access_level": 30, "merge_access_level": 30})
    made = {"root": project}
    for name in ("dora", "dan"):
        user, client = served.user(name)
        project.members.create({"user_id": user.id, "access_level": 30})
        made[name] = client.projects.get(project.id)
    return made


def test_variables_are_for_whoever_gave_them_and_for_maintainers(people: dict[str, Any]) -> None:
    made = people["dora"].pipelines.create({"ref": "feature", "variables": VARIABLES})
    for name in ("dora", "root"):
        [shown] = people[name].pipelines.get(made.id).variables.list(get_all=True)
        assert (shown.key, shown.value) == ("DESK", "rates")
    with pytest.raises(gitlab.GitlabListError) as caught:
        people["dan"].pipelines.get(made.id).variables.list(get_all=True)
    assert caught.value.response_code == 403


@pytest.mark.parametrize(
    ("ref", "who", "may"),
    [
        pytest.param("feature", "dora", True, id="own"),
        pytest.param("feature", "dan", False, id="another's"),
        pytest.param("main", "dora", False, id="own-on-a-protected-branch"),
        pytest.param("main", "root", True, id="by-a-maintainer"),
    ],
)
def test_who_erases_a_job(people: dict[str, Any], ref: str, who: str, may: bool) -> None:
    made = people["dora"].pipelines.create({"ref": ref})
    made.cancel()
    job = people[who].jobs.get(made.jobs.list(get_all=True)[0].id)
    if may:
        job.erase()
    else:
        with pytest.raises(gitlab.GitlabHttpError, match=r"403 Forbidden$"):
            people[who].manager.gitlab.http_post(f"/projects/{people[who].id}/jobs/{job.id}/erase")
    assert (people["root"].jobs.get(job.id).erased_at is not None) is may


def test_what_is_public_is_read_by_anybody(served: Served, people: dict[str, Any]) -> None:
    project = people["root"]
    pipeline = project.pipelines.create({"ref": "feature"})
    paths = ("pipelines", f"pipelines/{pipeline.id}", f"pipelines/{pipeline.id}/jobs", "merge_requests", "issues")
    anybody = served.http(None)
    assert [anybody.get(f"/projects/{project.id}/{path}").status_code for path in paths] == [404] * 5
    project.visibility = "public"
    project.save()
    try:
        assert [anybody.get(f"/projects/{project.id}/{path}").status_code for path in paths] == [200] * 5
        assert anybody.get(f"/projects/{project.id}/pipelines/{pipeline.id}/variables").status_code == 401
    finally:
        project.visibility = "private"
        project.save()
