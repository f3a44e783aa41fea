"""The job as a runner gets it: `POST /jobs/request`'s answer, by the fields of gitlab-runner's common/spec/spec.go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from infra.lab.gitlab.pipelines.failure import FailureReason
from infra.lab.gitlab.pipelines.token import PREFIX
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.runner import Runner, RunnerType
from pipelines.language.model import Artifacts, Cache, Image, JobSpec, Variable

_GZIP, _RAW = "gzip", "raw"
_REPORT_FILES = {
    # Ci::JobArtifact's DEFAULT_FILE_NAMES and TYPE_AND_FORMAT_PAIRS
    "junit": ("junit.xml", _GZIP),
    "dotenv": (".env", _GZIP),
    "cobertura": ("cobertura-coverage.xml", _GZIP),
    "jacoco": ("jacoco-coverage.xml", _GZIP),
    "codequality": ("gl-code-quality-report.json", _RAW),
    "sast": ("gl-sast-report.json", _RAW),
    "secret_detection": ("gl-secret-detection-report.json", _RAW),
    "dependency_scanning": ("gl-dependency-scanning-report.json", _RAW),
    "container_scanning": ("gl-container-scanning-report.json", _RAW),
    "dast": ("gl-dast-report.json", _RAW),
    "cyclonedx": ("gl-sbom.cdx.json", _GZIP),
    "metrics": ("metrics.txt", _GZIP),
    "terraform": ("tfplan.json", _RAW),
    "accessibility": ("gl-accessibility.json", _RAW),
    "annotations": ("gl-annotations.json", _GZIP),
    "load_performance": ("load-performance.json", _RAW),
    "browser_performance": ("browser-performance.json", _RAW),
    "requirements": ("requirements.json", _RAW),
    "requirements_v2": ("requirements_v2.json", _RAW),
    "api_fuzzing": ("gl-api-fuzzing-report.json", _RAW),
    "coverage_fuzzing": ("gl-coverage-fuzzing.json", _RAW),
    "cluster_image_scanning": ("gl-cluster-image-scanning-report.json", _RAW),
    "lsif": ("lsif.json", _RAW),
    "repository_xray": ("gl-repository-xray.json", _GZIP),
}
REPORT_FORMATS = {kind: file_format for kind, (_, file_format) in _REPORT_FILES.items()}


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """A job whose artifacts this job gets."""

    id: int
    name: str
    token: str = field(repr=False)
    filename: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Handout:
    """A job that a runner has taken, with all that its payload is made of."""

    job: Job
    spec: JobSpec
    runner: Runner
    token: str = field(repr=False)
    repository_url: str = field(repr=False)
    variables: tuple[Variable, ...] = field(repr=False)
    dependencies: tuple[Dependency, ...]
    cache_keys: tuple[str, ...]
    """One for each of the spec's caches."""
    instance_id: str
    queue_size: int = 0


def with_credentials(url: str, token: str) -> str:
    """The repository's address with the job token inside, as git wants it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"gitlab-ci-token:{token}@{parts.netloc}"))


def payload(handout: Handout) -> dict[str, Any]:
    """The answer's body."""
    job, spec = handout.job, handout.spec
    return {
        "id": job.id,
        "token": handout.token,
        "allow_git_fetch": job.pipeline.project.setting("build_git_strategy") == "fetch",
        "job_info": _job_info(handout),
        "git_info": _git_info(handout),
        "runner_info": {"timeout": job.timeout, "runner_session_url": None},
        "inputs": [],
        "variables": [_variable(each) for each in handout.variables],
        "steps": _steps(spec, job.timeout),
        "hooks": _hooks(spec),
        "image": _image(spec.image),
        "services": [],
        "artifacts": _artifacts(spec.artifacts),
        "cache": [_cache(each, key) for each, key in zip(spec.caches, handout.cache_keys, strict=True)],
        "credentials": [],
        "dependencies": [
            {
                "id": each.id,
                "name": each.name,
                "token": each.token,
                "artifacts_file": {"filename": each.filename, "size": each.size},
            }
            for each in handout.dependencies
        ],
        "features": {
            "trace_sections": True,
            "token_mask_prefixes": ["glpat-", PREFIX, "glrt-", "gldt-"],
            "failure_reasons": [reason.value for reason in FailureReason],
        },
    }


def _job_info(handout: Handout) -> dict[str, Any]:
    job = handout.job
    project = job.pipeline.project
    root = list(project.namespace.lineage())[-1]
    return {
        "id": job.id,
        "name": job.name,
        "stage": job.stage,
        "pipeline_id": job.pipeline_id,
        "project_id": project.id,
        "project_name": project.path,
        "project_full_path": project.full_path,
        "namespace_id": project.namespace_id,
        "root_namespace_id": root.id,
        "organization_id": 1,
        "instance_id": handout.instance_id,
        "instance_uuid": handout.instance_id,
        "user_id": job.user_id,
        "time_in_queue_seconds": _waited(job.queued_at),
        # Text because GitLab writes "+Inf" for a runner that is not an instance's.
        "project_jobs_running_on_instance_runners_count": (
            "0" if handout.runner.runner_type == RunnerType.INSTANCE else "+Inf"
        ),
        "queue_size": handout.queue_size,
        "queue_depth": 0,
    }


def _waited(queued_at: datetime | None) -> float:
    return round((now() - queued_at).total_seconds(), 3) if queued_at is not None else 0.0


def _git_info(handout: Handout) -> dict[str, Any]:
    pipeline = handout.job.pipeline
    depth = _depth(handout)
    return {
        "repo_url": handout.repository_url,
        "repo_object_format": "sha1",
        "ref": pipeline.ref,
        "sha": pipeline.sha,
        "before_sha": pipeline.before_sha,
        "ref_type": "tag" if pipeline.tag else "branch",
        "refspecs": refspecs(pipeline, depth=depth),
        "depth": depth,
        "protected": pipeline.protected,
    }


def _depth(handout: Handout) -> int:
    wanted = next((each.value for each in handout.variables if each.key == "GIT_DEPTH"), None)
    if wanted is not None and wanted.isdecimal():
        return int(wanted)
    return int(handout.job.pipeline.project.setting("ci_default_git_depth") or 0)


def refspecs(pipeline: Pipeline, *, depth: int) -> list[str]:
    """What the runner fetches: the commit itself (the branch may have moved on or be gone), then the ref.

    With a depth of 0 all branches and tags come; a merge request has just its commit, as in GitLab's
    Ci::BuildRunnerPresenter#refspecs.
    """
    own = f"+{pipeline.sha}:refs/pipelines/{pipeline.id}"
    ref = "*" if depth == 0 else pipeline.ref
    branches, tags = f"+refs/heads/{ref}:refs/remotes/origin/{ref}", f"+refs/tags/{ref}:refs/tags/{ref}"
    if depth == 0:
        return [own, branches, tags]
    if pipeline.merge_request_id is not None:
        return [own]
    return [own, tags if pipeline.tag else branches]


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "key": variable.key,
        "value": variable.value,
        "public": variable.public,
        "masked": variable.masked,
        "file": variable.file,
        "raw": variable.raw,
    }


def _steps(spec: JobSpec, timeout: int | None) -> list[dict[str, Any]]:
    steps = [_step("script", (*spec.before_script, *spec.script), timeout, "on_success")]
    if spec.after_script:
        steps.append(_step("after_script", spec.after_script, timeout, "always", allow_failure=True))
    return steps


def _step(
    name: str, script: Sequence[str], timeout: int | None, when: str, *, allow_failure: bool = False
) -> dict[str, Any]:
    return {"name": name, "script": list(script), "timeout": timeout, "when": when, "allow_failure": allow_failure}


def _hooks(spec: JobSpec) -> list[dict[str, Any]]:
    if not spec.pre_get_sources_script:
        return []
    return [{"name": "pre_get_sources_script", "script": list(spec.pre_get_sources_script)}]


def _image(image: Image | None) -> dict[str, Any] | None:
    if image is None:
        return None
    shown: dict[str, Any] = {"name": image.name}
    if image.entrypoint:
        shown["entrypoint"] = list(image.entrypoint)
    if image.pull_policy:
        shown["pull_policy"] = list(image.pull_policy)
    return shown


def _artifacts(artifacts: Artifacts | None) -> list[dict[str, Any]]:
    if artifacts is None:
        return []
    shown: list[dict[str, Any]] = []
    if artifacts.paths or artifacts.untracked:
        shown.append(
            {
                "name": artifacts.name or "",
                "untracked": artifacts.untracked,
                "paths": list(artifacts.paths),
                "exclude": list(artifacts.exclude),
                "when": artifacts.when,
                "artifact_type": "archive",
                "artifact_format": "zip",
                "expire_in": artifacts.expire_in,
            }
        )
    for report in artifacts.reports:
        kind = report.format or report.kind
        filename, file_format = _REPORT_FILES.get(kind, (f"{kind}.json", _GZIP))
        shown.append(
            {
                "name": filename,
                "paths": list(report.paths),
                "when": "always",
                "artifact_type": kind,
                "artifact_format": file_format,
                "expire_in": artifacts.expire_in,
            }
        )
    return shown


def _cache(cache: Cache, key: str) -> dict[str, Any]:
    return {
        "key": key,
        "untracked": cache.untracked,
        "policy": cache.policy,
        "paths": list(cache.paths),
        "when": cache.when,
        "fallback_keys": list(cache.fallback_keys),
    }
