"""The predefined variables of pipelines and jobs (docs.gitlab.com/ci/variables/predefined_variables).

Left out because the lab has none of it: container registry, dependency proxy, Pages, Kubernetes, chat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from infra.lab.gitlab.instance import REVISION, VERSION
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.merge_request import MergeRequest
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.runner import Runner, RunnerManager
from infra.lab.gitlab.store.user import User
from pipelines.language.model import Variable
from pipelines.language.slug import slug

_MESSAGE_LIMIT_BYTES = 100_000
_DESCRIPTION_LIMIT = 2700


@dataclass(frozen=True, kw_only=True)
class CommitFacts:
    """What jobs are told about the commit."""

    sha: str
    message: str
    author: str
    """`Name <address>`"""
    timestamp: datetime

    @property
    def title(self) -> str:
        """The first line of the message."""
        return self.message.strip().partition("\n")[0]

    @property
    def description(self) -> str:
        """The message without its first line."""
        return self.message.strip().partition("\n")[2].strip()


@dataclass(frozen=True, kw_only=True)
class RefFacts:
    """What a pipeline runs for. `ref` is the branch's or tag's short name."""

    ref: str
    tag: bool
    before_sha: str
    protected: bool
    tag_message: str | None = None
    merge_request: MergeRequest | None = None
    """The one that the pipeline is for; `ref` is its source branch."""
    open_merge_requests: tuple[str, ...] = ()
    """Those of the branch, `group/project!1`."""


def plain(values: Iterable[tuple[str, str]]) -> tuple[Variable, ...]:
    """Variables with just a name and a value; what is in the value is not expanded again."""
    return tuple(Variable(key=key, value=value, raw=True) for key, value in values)


def server_variables(external_url: str) -> tuple[Variable, ...]:
    """About this server."""
    url = urlsplit(external_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    major, minor, patch = VERSION.split(".")[:3]
    return plain(
        [
            ("CI", "true"),
            ("GITLAB_CI", "true"),
            ("CI_SERVER", "yes"),
            ("CI_SERVER_URL", external_url),
            ("CI_SERVER_HOST", url.hostname or ""),
            ("CI_SERVER_PORT", str(port)),
            ("CI_SERVER_PROTOCOL", url.scheme),
            ("CI_SERVER_FQDN", url.netloc),
            ("CI_SERVER_SHELL_SSH_HOST", url.hostname or ""),
            ("CI_SERVER_SHELL_SSH_PORT", "22"),
            ("CI_SERVER_NAME", "GitLab"),
            ("CI_SERVER_VERSION", VERSION),
            ("CI_SERVER_VERSION_MAJOR", major),
            ("CI_SERVER_VERSION_MINOR", minor),
            ("CI_SERVER_VERSION_PATCH", patch),
            ("CI_SERVER_REVISION", REVISION),
            ("CI_API_V4_URL", f"{external_url}/api/v4"),
            ("CI_API_GRAPHQL_URL", f"{external_url}/api/graphql"),
            ("CI_TEMPLATE_REGISTRY_HOST", url.hostname or ""),
            ("GITLAB_FEATURES", ""),
        ]
    )


def project_variables(external_url: str, project: Project, config_path: str) -> tuple[Variable, ...]:
    """About the project. `config_path` is what CI_CONFIG_PATH says."""
    root = project.full_path.partition("/")[0]
    return plain(
        [
            ("CI_PROJECT_ID", str(project.id)),
            ("CI_PROJECT_NAME", project.path),
            ("CI_PROJECT_TITLE", project.name),
            ("CI_PROJECT_DESCRIPTION", project.description or ""),
            ("CI_PROJECT_PATH", project.full_path),
            ("CI_PROJECT_PATH_SLUG", slug(project.full_path)),
            ("CI_PROJECT_NAMESPACE", project.namespace.full_path),
            ("CI_PROJECT_NAMESPACE_ID", str(project.namespace_id)),
            ("CI_PROJECT_NAMESPACE_SLUG", slug(project.namespace.full_path)),
            ("CI_PROJECT_ROOT_NAMESPACE", root),
            ("CI_PROJECT_URL", f"{external_url}/{project.full_path}"),
            ("CI_PROJECT_VISIBILITY", project.visibility),
            ("CI_PROJECT_REPOSITORY_LANGUAGES", ""),
            ("CI_PROJECT_CLASSIFICATION_LABEL", ""),
            ("CI_DEFAULT_BRANCH", project.default_branch),
            ("CI_DEFAULT_BRANCH_SLUG", slug(project.default_branch)),
            ("CI_CONFIG_PATH", config_path),
        ]
    )


def commit_variables(commit: CommitFacts, ref: RefFacts) -> tuple[Variable, ...]:
    """About the commit and the ref. Variables that do not apply are left out, as rules ask whether they are there."""
    body = commit.message.encode()
    truncated = len(body) > _MESSAGE_LIMIT_BYTES
    values = [
        ("CI_COMMIT_SHA", commit.sha),
        ("CI_COMMIT_SHORT_SHA", commit.sha[:8]),
        ("CI_COMMIT_BEFORE_SHA", ref.before_sha),
        ("CI_COMMIT_REF_NAME", ref.ref),
        ("CI_COMMIT_REF_SLUG", slug(ref.ref)),
        ("CI_COMMIT_MESSAGE", body[:_MESSAGE_LIMIT_BYTES].decode(errors="ignore")),
        ("CI_COMMIT_MESSAGE_IS_TRUNCATED", "true" if truncated else "false"),
        ("CI_COMMIT_TITLE", commit.title),
        ("CI_COMMIT_DESCRIPTION", commit.description),
        ("CI_COMMIT_REF_PROTECTED", "true" if ref.protected else "false"),
        ("CI_COMMIT_TIMESTAMP", commit.timestamp.isoformat()),
        ("CI_COMMIT_AUTHOR", commit.author),
    ]
    if ref.tag:
        values += [("CI_COMMIT_TAG", ref.ref), ("CI_COMMIT_TAG_MESSAGE", ref.tag_message or "")]
    elif ref.merge_request is None:
        values.append(("CI_COMMIT_BRANCH", ref.ref))
    if ref.open_merge_requests:
        values.append(("CI_OPEN_MERGE_REQUESTS", ",".join(ref.open_merge_requests)))
    return plain(values)


def merge_request_variables(
    external_url: str, merge_request: MergeRequest, guarded: Mapping[str, bool]
) -> tuple[Variable, ...]:
    """About the merge request that the pipeline is for. `guarded` says which of its branches are protected.

    CI_MERGE_REQUEST_SOURCE_BRANCH_SHA and …_TARGET_BRANCH_SHA are empty, as in GitLab: only pipelines of merged
    results, a paid feature, have them.
    """
    project = merge_request.project
    url = f"{external_url}/{project.full_path}"
    text = (merge_request.description or "")[:_DESCRIPTION_LIMIT]
    values = [
        ("CI_MERGE_REQUEST_ID", str(merge_request.id)),
        ("CI_MERGE_REQUEST_IID", str(merge_request.iid)),
        ("CI_MERGE_REQUEST_REF_PATH", merge_request.ref_path),
        ("CI_MERGE_REQUEST_PROJECT_ID", str(project.id)),
        ("CI_MERGE_REQUEST_PROJECT_PATH", project.full_path),
        ("CI_MERGE_REQUEST_PROJECT_URL", url),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", merge_request.target_branch),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED", _word(guarded[merge_request.target_branch])),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", ""),
        ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", str(project.id)),
        ("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", project.full_path),
        ("CI_MERGE_REQUEST_SOURCE_PROJECT_URL", url),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", merge_request.source_branch),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED", _word(guarded[merge_request.source_branch])),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", ""),
        ("CI_MERGE_REQUEST_TITLE", merge_request.title),
        ("CI_MERGE_REQUEST_DESCRIPTION", text),
        ("CI_MERGE_REQUEST_DESCRIPTION_IS_TRUNCATED", _word(text != (merge_request.description or ""))),
        ("CI_MERGE_REQUEST_DRAFT", _word(merge_request.draft)),
        ("CI_MERGE_REQUEST_SQUASH_ON_MERGE", _word(merge_request.squash)),
        ("CI_MERGE_REQUEST_EVENT_TYPE", "detached"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", merge_request.base_sha or ""),
    ]
    if merge_request.labels:
        values.append(("CI_MERGE_REQUEST_LABELS", ",".join(merge_request.labels)))
    return plain(values)


def _word(truth: bool) -> str:
    return "true" if truth else "false"


def user_variables(user: User | None) -> tuple[Variable, ...]:
    """About who started the pipeline or the job."""
    if user is None:
        return ()
    return plain(
        [
            ("GITLAB_USER_ID", str(user.id)),
            ("GITLAB_USER_LOGIN", user.username),
            ("GITLAB_USER_NAME", user.name),
            ("GITLAB_USER_EMAIL", user.email),
        ]
    )


def running_variables(
    external_url: str, job: Job, token: str, repository_url: str, runner: Runner, manager: RunnerManager
) -> tuple[Variable, ...]:
    """What only exists once a runner has the job. `repository_url` holds the token."""
    pipeline = job.pipeline
    page = f"{external_url}/{pipeline.project.full_path}/-"
    started = (job.started_at or job.created_at).strftime("%Y-%m-%dT%H:%M:%SZ")
    values = [
        ("CI_PIPELINE_ID", str(pipeline.id)),
        ("CI_PIPELINE_IID", str(pipeline.iid)),
        ("CI_PIPELINE_URL", f"{page}/pipelines/{pipeline.id}"),
        ("CI_PIPELINE_SOURCE", pipeline.source),
        ("CI_PIPELINE_CREATED_AT", pipeline.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("CI_JOB_ID", str(job.id)),
        ("CI_JOB_URL", f"{page}/jobs/{job.id}"),
        ("CI_JOB_STARTED_AT", started),
        ("CI_JOB_TIMEOUT", str(job.timeout or 0)),
        ("CI_RUNNER_ID", str(runner.id)),
        ("CI_RUNNER_DESCRIPTION", runner.description or ""),
        ("CI_RUNNER_TAGS", "[" + ", ".join(f'"{tag}"' for tag in runner.tags) + "]"),
        ("CI_RUNNER_VERSION", manager.version or ""),
        ("CI_RUNNER_REVISION", manager.revision or ""),
        ("CI_RUNNER_EXECUTABLE_ARCH", f"{manager.platform or ''}/{manager.architecture or ''}"),
    ]
    if pipeline.name:
        values.append(("CI_PIPELINE_NAME", pipeline.name))
    if job.when in {"manual", "delayed"}:
        values.append(("CI_JOB_MANUAL", "true"))
    secret = [("CI_JOB_TOKEN", token), ("CI_REPOSITORY_URL", repository_url)]
    return (
        *plain(values),
        *(
            Variable(key=key, value=value, public=False, masked=key == "CI_JOB_TOKEN", raw=True)
            for key, value in secret
        ),
    )
