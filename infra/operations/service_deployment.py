"""What of a service runs in an environment: what answers there, and how GitLab says it came there."""

from __future__ import annotations

from dataclasses import dataclass

from gitlab.exceptions import GitlabError
from gitlab.v4.objects import Project

from infra.clients.gitlab import explain


@dataclass(frozen=True, kw_only=True)
class Running:
    """An environment: what answers there now, and what GitLab knows of how it came there.

    `approved_by` is who started the job that lets a release into it; empty where there is no such job.
    """

    environment: str
    url: str
    version: str | None
    healthy: bool
    since: str = ""
    ref: str = ""
    sha: str = ""
    deployed_by: str = ""
    approved_by: str = ""
    web_url: str = ""


def last_deployment(project: Project, environment: str) -> dict[str, str]:
    """The last deployment that succeeded, and who approved it; nothing where there was none. Raises ServerError.

    GitLab's own approvals of deployments are a paid feature; here an approval is a job that waits for a person.
    """
    try:
        found = project.deployments.list(
            environment=environment, status="success", order_by="id", sort="desc", per_page=1, page=1, get_all=False
        )
        if not found:
            return {}
        last = found[0].attributes
        job = last.get("deployable") or {}
        pipeline = (job.get("pipeline") or {}).get("id")
        jobs = project.pipelines.get(pipeline, lazy=True).jobs.list(get_all=True) if pipeline else []
    except GitlabError as error:
        raise explain(error, f"{project.path_with_namespace} {environment}") from error
    approvals = [one for one in jobs if one.name == f"approve-{environment}" and one.status == "success"]
    return {
        "since": job.get("finished_at") or last["updated_at"],
        "ref": last["ref"],
        "sha": last["sha"],
        "deployed_by": (last.get("user") or {}).get("username", ""),
        "approved_by": ((approvals[0].user or {}).get("username", "")) if approvals else "",
        "web_url": job.get("web_url") or "",
    }
