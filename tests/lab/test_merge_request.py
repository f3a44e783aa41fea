"""Merge requests: a proposed change runs up to the security gates on unprotected ground, and is merged when green.

By default one service of each language; `--all-services` takes all ten.
"""

from __future__ import annotations

from typing import Any

import pytest

from infra.clients.gitlab import GitLab
from tests.lab.journey import chosen, green
from tests.trial import Stack

pytestmark = pytest.mark.lab

BRANCH = "tell-more"


@pytest.fixture(scope="session")
def proposals(request: pytest.FixtureRequest, runs: dict[str, Any], gitlab: GitLab) -> dict[str, Any]:
    """A merge request a service, after its pipeline has ended."""
    assert runs
    opened = {}
    for service in chosen(request.config):
        project = gitlab.api.projects.get(service.project)
        readme = project.files.get("README.md", ref="main").decode().decode()
        project.commits.create(
            {
                "branch": BRANCH,
                "start_branch": "main",
                "commit_message": "Tell more in the README",
                "actions": [{"action": "update", "file_path": "README.md", "content": f"{readme}\nMore.\n"}],
            }
        )
        opened[service.name] = project.mergerequests.create(
            {"source_branch": BRANCH, "target_branch": "main", "title": "Tell more in the README"}
        )
        # The branch was there first, and has a pipeline of the same jobs: they would only take their time.
        for pipeline in project.pipelines.list(ref=BRANCH, source="push", get_all=True):
            pipeline.cancel()
    for proposal in opened.values():
        green(gitlab.api.projects.get(proposal.project_id), own_pipeline(proposal).id)
    return opened


def own_pipeline(proposal: Any) -> Any:
    """The merge request's own pipeline: its branch may have others."""
    (pipeline,) = [one for one in proposal.pipelines.list(get_all=True) if one.source == "merge_request_event"]
    return pipeline


def test_a_merge_request_runs_what_explain_says_and_is_green(
    stack: Stack, gitlab: GitLab, proposals: dict[str, Any]
) -> None:
    for name, proposal in proposals.items():
        pipeline = gitlab.api.projects.get(proposal.project_id).pipelines.get(own_pipeline(proposal).id)
        jobs = pipeline.jobs.list(get_all=True)
        (explained,) = stack.json("pipelines", "explain", name, "--ref", "mr")
        assert {job.name for job in jobs} == {job["name"] for job in explained["jobs"] if job["runs"]}
        assert {job.status for job in jobs} == {"success"}, name
        assert not {"publish", "deploy-dev", "deploy-production"} & {job.name for job in jobs}


def test_a_green_merge_request_is_merged(gitlab: GitLab, proposals: dict[str, Any]) -> None:
    proposal = next(iter(proposals.values()))
    project = gitlab.api.projects.get(proposal.project_id)
    project.mergerequests.get(proposal.iid).merge()
    assert project.mergerequests.get(proposal.iid).state == "merged"
    assert "More." in project.files.get("README.md", ref="main").decode().decode()
    for pipeline in project.pipelines.list(ref="main", get_all=True):
        pipeline.cancel()
