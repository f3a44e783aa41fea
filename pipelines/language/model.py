"""What the CI language is compiled from (source, context) and to (pipeline, jobs): plain data that every module shares.

Durations are seconds. Sequences are tuples, in the order of the configuration.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class PipelineSource(StrEnum):
    """`CI_PIPELINE_SOURCE`: what started the pipeline."""

    PUSH = "push"
    WEB = "web"
    API = "api"
    SCHEDULE = "schedule"
    MERGE_REQUEST = "merge_request_event"
    TRIGGER = "trigger"


class RefType(StrEnum):
    """What the pipeline's ref is."""

    BRANCH = "branch"
    TAG = "tag"


class When(StrEnum):
    """When a job runs, after its rules were applied (`never` jobs are not part of a pipeline)."""

    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"
    MANUAL = "manual"
    DELAYED = "delayed"


class Status(StrEnum):
    """Status of a job, a stage or a pipeline, as GitLab's API spells it."""

    CREATED = "created"
    WAITING_FOR_RESOURCE = "waiting_for_resource"
    PREPARING = "preparing"
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELING = "canceling"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    MANUAL = "manual"
    SCHEDULED = "scheduled"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A CI/CD variable. `raw` means that references inside the value are not expanded."""

    key: str
    value: str = field(repr=False)
    public: bool = True
    masked: bool = False
    file: bool = False
    raw: bool = False
    protected: bool = False
    environment_scope: str = "*"


@dataclass(frozen=True, kw_only=True)
class IncludeRef:
    """A file of a project at a ref. `project=None` is the pipeline's own project at the pipeline's own commit.

    `ref=None` with a project is that project's default branch. `path` has no slash at its start.
    """

    path: str
    project: str | None = None
    ref: str | None = None


class Missing(StrEnum):
    """Why a file can't be had."""

    PROJECT = "project"  # not there, or the user may not read it
    REF = "ref"
    FILE = "file"


class MissingFileError(Exception):
    """Raised by `Files` when what is asked for isn't there or may not be read."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(missing)
        self.missing = missing


class Files(Protocol):
    """How the compiler reads repositories, with the access rights of the user who runs the pipeline."""

    def fetch(self, ref: IncludeRef) -> str:
        """The text of the file. Raises MissingFileError."""

    def paths(self, project: str | None, ref: str | None) -> Collection[str]:
        """Paths of all files of the project at the ref (both None: the pipeline's own). Raises MissingFileError."""


@dataclass(frozen=True, kw_only=True)
class ConfigSource:
    """The entry file's text, where it is (`ci_config_path` may name another project), and how further files are had."""

    text: str
    files: Files
    place: IncludeRef = IncludeRef(path=".gitlab-ci.yml")
    lenient: bool = False
    """What GitLab knows and Forgeline does not read is passed over instead of refused: for files of other people."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Who and what a pipeline is compiled for.

    The variable layers have rising precedence in this order, with the configuration's own variables between
    `predefined` and `instance` (https://docs.gitlab.com/ci/variables/#cicd-variable-precedence). `predefined` has the
    pipeline's (`CI_PIPELINE_SOURCE`, `CI_COMMIT_BRANCH`, …; a variable that does not apply is left out); the job's
    (`CI_JOB_NAME`, `CI_JOB_STAGE`, `CI_NODE_INDEX`, `CI_ENVIRONMENT_NAME`, …) are added here. Variables that are
    `protected` are left out unless the context is; those with another environment scope too.
    """

    source: PipelineSource
    ref: str
    ref_type: RefType = RefType.BRANCH
    default_branch: str = "main"
    protected: bool = False
    project_path: str = ""
    predefined: tuple[Variable, ...] = ()
    instance: tuple[Variable, ...] = ()
    group: tuple[Variable, ...] = ()
    project: tuple[Variable, ...] = ()
    pipeline: tuple[Variable, ...] = ()
    changed_paths: frozenset[str] | None = None
    """Paths that the push or merge request changes. None (a tag, a schedule, a first push): `changes` is true."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """A job that must be finished first, by its final name (`build 1/2`)."""

    name: str
    artifacts: bool = True
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """One `artifacts:reports` entry. `format` is that of a coverage report (`cobertura`, `jacoco`), else empty."""

    kind: str
    paths: tuple[str, ...]
    format: str = ""


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """`artifacts`. Times are text (`1 week`); variables are the runner's to expand."""

    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    untracked: bool = False
    when: str = "on_success"
    expire_in: str | None = None
    name: str | None = None
    reports: tuple[Report, ...] = ()
    expose_as: str | None = None
    access: str = "all"


@dataclass(frozen=True, kw_only=True)
class Cache:
    """One `cache`. With `key_files` the key is `key_prefix` and the SHA of their last commits, else it is `key`."""

    key: str = "default"
    key_files: tuple[str, ...] = ()
    key_prefix: str = ""
    paths: tuple[str, ...] = ()
    untracked: bool = False
    policy: str = "pull-push"
    when: str = "on_success"
    fallback_keys: tuple[str, ...] = ()
    unprotect: bool = False


@dataclass(frozen=True, kw_only=True)
class Environment:
    """`environment`. `name` is expanded; `url` is not, since a dotenv report of the job may still add to it."""

    name: str
    template: str
    url: str | None = None
    action: str = "start"
    on_stop: str | None = None
    deployment_tier: str | None = None
    auto_stop_in: str | None = None


@dataclass(frozen=True, kw_only=True)
class Retry:
    """`retry`: how often, and after which failure reasons or exit codes."""

    max: int = 0
    when: tuple[str, ...] = ("always",)
    exit_codes: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class IdToken:
    """One `id_tokens` entry: the variable's name and the token's audiences, expanded."""

    name: str
    audiences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Image:
    """`image`, passed on to the runner."""

    name: str
    entrypoint: tuple[str, ...] = ()
    pull_policy: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """A job of the pipeline, with everything applied: extends, default, rules, matrix.

    `needs=None`: the job waits for all earlier stages; `()`: for nothing. `dependencies=None`: artifacts of all earlier
    stages, or of `needs` if it has them. `variables` are the configuration's (workflow and global ones that the job
    inherits, job, matrix, rules), not expanded: see `variable.job_variables`.
    """

    name: str
    group: str
    """The name without `1/3` or `: [a, b]`."""
    stage: str
    stage_index: int
    script: tuple[str, ...]
    before_script: tuple[str, ...] = ()
    after_script: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    when: When = When.ON_SUCCESS
    allow_failure: bool = False
    allow_failure_exit_codes: tuple[int, ...] = ()
    """Exit codes with which a failure is allowed, when `allow_failure` itself is false."""
    start_in: int | None = None
    manual_confirmation: str | None = None
    needs: tuple[Need, ...] | None = None
    dependencies: tuple[str, ...] | None = None
    artifacts: Artifacts | None = None
    caches: tuple[Cache, ...] = ()
    environment: Environment | None = None
    retry: Retry = Retry()
    timeout: int | None = None
    interruptible: bool = False
    resource_group: str | None = None
    tags: tuple[str, ...] = ()
    image: Image | None = None
    id_tokens: tuple[IdToken, ...] = ()
    coverage: str | None = None
    """The regular expression without its slashes."""
    parallel_index: int | None = None
    parallel_total: int | None = None
    matrix: tuple[tuple[str, str], ...] = ()
    pre_get_sources_script: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AutoCancel:
    """`workflow:auto_cancel`: `conservative`, `interruptible` or `none`; and `all` or `none`."""

    on_new_commit: str = "conservative"
    on_job_failure: str = "none"


@dataclass(frozen=True, kw_only=True)
class PipelineSpec:
    """A compiled pipeline. With `created=False` none is to be made, for `reason`; that is not an error."""

    created: bool
    reason: str = ""
    name: str | None = None
    stages: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    """Global and workflow variables of the configuration."""
    auto_cancel: AutoCancel = AutoCancel()
    jobs: tuple[JobSpec, ...] = ()
    warnings: tuple[str, ...] = ()
    includes: tuple[IncludeRef, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LintResult:
    """What `/ci/lint` answers."""

    valid: bool
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    merged_yaml: str = ""
    includes: tuple[IncludeRef, ...] = ()
    jobs: tuple[JobSpec, ...] = ()
