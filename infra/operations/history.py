"""Brings a repository's history into a service's new project, and offers by a merge request what it lacks."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitlab.exceptions import GitlabError

from infra.clients.gitlab import GitLab, absent, explain, token_reference
from infra.clients.openbao import OpenBao
from infra.clients.repository import Repository
from infra.core.finding import Finding
from infra.core.naming import MAIN
from infra.core.progress import Progress
from infra.core.settings import Settings
from infra.operations.desired import first_files
from pipelines.adoption import boilerplate, lacking
from pipelines.catalogue import Service

BRANCH = "forgeline/onboard"
"""The branch of the merge request."""


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """What a service's repository begins with that came with a history. `files` are offered, never pushed to main."""

    service: Service
    origin: Repository
    files: Mapping[str, str]
    findings: Sequence[Finding]

    def as_json(self) -> dict[str, Any]:
        """A JSON object with where it came from, what is offered, and what the team has to change."""
        return {
            "from": self.origin.source,
            "commit": self.origin.commit,
            "offered": dict(self.files),
            "findings": [finding.as_json() for finding in self.findings],
        }


def plan_adoption(service: Service, origin: Repository, settings: Settings) -> Adoption:
    """What adopting the repository means for its team."""
    offered = boilerplate(service, origin, first_files(settings, service))
    return Adoption(service=service, origin=origin, files=offered, findings=lacking(service, origin))


def without_branch(adoption: Adoption, gitlab: GitLab) -> bool:
    """Whether the project is yet without the history. Raises ServerError where GitLab refuses."""
    try:
        return absent(lambda: gitlab.project(adoption.service.project).branches.get(MAIN)) is None
    except GitlabError as error:
        raise explain(error, adoption.service.project) from error


def adopt(adoption: Adoption, gitlab: GitLab, settings: Settings, progress: Progress) -> str | None:
    """Pushes the history into the empty project, and opens the merge request; each where it is not done.

    Returns the merge request's address, or None where nothing is lacking. Raises ServerError where GitLab refuses.
    """
    service, name = adoption.service, adoption.service.name
    project = gitlab.project(service.project)
    try:
        if without_branch(adoption, gitlab):
            progress.start(name, "pushing the history")
            token = OpenBao.of(settings).resolve(token_reference(settings))
            adoption.origin.push(f"{settings.gitlab_url}/{service.project}.git", token, MAIN)
        if not adoption.files:
            progress.done(name, "has its history, and all that the pipeline needs")
            return None
        progress.start(name, "opening the merge request")
        request = _merge_request(project, adoption)
    except GitlabError as error:
        raise explain(error, service.project) from error
    progress.done(name, f"has its history; merge request !{request.iid} has {len(adoption.files)} files")
    return str(request.web_url)


def _merge_request(project: Any, adoption: Adoption) -> Any:
    there = project.mergerequests.list(source_branch=BRANCH, state="all", get_all=False)
    if there:
        return there[0]
    if absent(lambda: project.branches.get(BRANCH)) is None:
        actions = [
            {"action": "create", "file_path": path, "content": text} for path, text in sorted(adoption.files.items())
        ]
        project.commits.create(
            {
                "branch": BRANCH,
                "start_branch": MAIN,
                "commit_message": "Add what the pipeline needs",
                "actions": actions,
            }
        )
    return project.mergerequests.create(
        {
            "source_branch": BRANCH,
            "target_branch": MAIN,
            "title": "Add what the pipeline needs",
            "description": description(adoption.findings),
            "remove_source_branch": True,
        }
    )


def description(findings: Sequence[Finding]) -> str:
    """The merge request's text, in Markdown."""
    begin = """\
        This service was onboarded with the history that it had. These files were not there, and the pipeline needs
        them; no file of yours is changed. `docs/delivery.md` says how the service is delivered.
        """
    lines = [f"- [ ] `{finding.where}`: {finding.message} ({finding.fix})" for finding in findings]
    rest = ["", "What remains to be done for the gates to pass:", "", *lines] if lines else []
    return "\n".join([textwrap.dedent(begin).strip(), *rest]) + "\n"
