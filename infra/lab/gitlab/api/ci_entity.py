"""Pipelines, jobs, environments and deployments as the API shows them (API_Entities_Ci_… of GitLab's OpenAPI file)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from infra.lab.gitlab.api.project_entity import show_basic
from infra.lab.gitlab.api.runner_entity import show_manager, show_runner
from infra.lab.gitlab.api.user import basic, show_user
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.artifact import ARCHIVE, artifacts_of
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.pipelines.transition import states_of
from infra.lab.gitlab.store.artifact import Artifact
from infra.lab.gitlab.store.base import now, stamp
from infra.lab.gitlab.store.environment import Deployment, Environment, last_deployment
from infra.lab.gitlab.store.job import Job, latest_jobs
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.runner import Runner, RunnerManager
from pipelines.language.graph import has_warnings
from pipelines.language.model import Status

_TEXTS = {
    # Gitlab::Ci::Status::*: text, label
    Status.CREATED: ("Created", "created"),
    Status.WAITING_FOR_RESOURCE: ("Waiting", "waiting for resource"),
    Status.PREPARING: ("Preparing", "preparing"),
    Status.PENDING: ("Pending", "pending"),
    Status.RUNNING: ("Running", "running"),
    Status.SUCCESS: ("Passed", "passed"),
    Status.FAILED: ("Failed", "failed"),
    Status.CANCELING: ("Canceling", "canceling"),
    Status.CANCELED: ("Canceled", "canceled"),
    Status.SKIPPED: ("Skipped", "skipped"),
    Status.MANUAL: ("Manual", "manual action"),
    Status.SCHEDULED: ("Delayed", "delayed"),
}


def pipeline_url(instance: Instance, pipeline: Pipeline) -> str:
    """The pipeline's page."""
    return instance.url(f"/{pipeline.project.full_path}/-/pipelines/{pipeline.id}")


def job_url(instance: Instance, job: Job) -> str:
    """The job's page."""
    return instance.url(f"/{job.pipeline.project.full_path}/-/jobs/{job.id}")


def show_pipeline_basic(instance: Instance, pipeline: Pipeline) -> dict[str, Any]:
    """API_Entities_Ci_PipelineBasic."""
    return {
        "id": pipeline.id,
        "iid": pipeline.iid,
        "project_id": pipeline.project_id,
        "sha": pipeline.sha,
        "ref": pipeline.ref,
        "status": pipeline.status,
        "source": pipeline.source,
        "created_at": stamp(pipeline.created_at),
        "updated_at": stamp(pipeline.updated_at),
        "web_url": pipeline_url(instance, pipeline),
    }


def show_pipeline(instance: Instance, session: Session, pipeline: Pipeline) -> dict[str, Any]:
    """API_Entities_Ci_Pipeline."""
    jobs = latest_jobs(session, pipeline.id)
    return {
        **show_pipeline_basic(instance, pipeline),
        "before_sha": pipeline.before_sha,
        "tag": pipeline.tag,
        "yaml_errors": pipeline.yaml_errors,
        "user": basic(instance, pipeline.user) if pipeline.user else None,
        "started_at": stamp(pipeline.started_at),
        "finished_at": stamp(pipeline.finished_at),
        "committed_at": stamp(pipeline.committed_at),
        "duration": _whole(running_seconds(jobs)),
        "queued_duration": _whole(_between(pipeline.created_at, pipeline.started_at)),
        "coverage": _text(_coverage(jobs)),
        "detailed_status": _detailed(pipeline, jobs),
    }


def show_pipeline_named(instance: Instance, session: Session, pipeline: Pipeline) -> dict[str, Any]:
    """API_Entities_Ci_PipelineWithMetadata."""
    return {**show_pipeline(instance, session, pipeline), "name": pipeline.name}


def _detailed(pipeline: Pipeline, jobs: list[Job]) -> dict[str, Any]:
    status = Status(pipeline.status)
    text, label = _TEXTS[status]
    group, icon = status.value.replace("_", "-"), status.value
    if status is Status.SUCCESS and has_warnings(states_of(jobs)):
        text, label, group, icon = "Warning", "passed with warnings", "success-with-warnings", "warning"
    elif status is Status.MANUAL:
        text, label = "Blocked", "waiting for manual action"
    return {
        "icon": f"status_{icon}",
        "text": text,
        "label": label,
        "group": group,
        "tooltip": label,
        "has_details": True,
        "details_path": f"/{pipeline.project.full_path}/-/pipelines/{pipeline.id}",
        "illustration": None,
        "favicon": None,
    }


def running_seconds(jobs: list[Job]) -> float | None:
    """How long jobs ran, counting a second in which several ran once (Gitlab::Ci::Pipeline::Duration)."""
    periods = sorted(
        (job.started_at, job.finished_at or now())
        for job in jobs
        if job.started_at is not None and job.status not in {Status.CREATED, Status.PENDING}
    )
    if not periods:
        return None
    total, (start, end) = 0.0, periods[0]
    for begun, ended in periods[1:]:
        if begun > end:
            total += (end - start).total_seconds()
            start, end = begun, ended
        else:
            end = max(end, ended)
    return total + (end - start).total_seconds()


def _coverage(jobs: list[Job]) -> float | None:
    figures = [job.coverage for job in jobs if job.coverage is not None]
    return sum(figures) / len(figures) if figures else None


def _text(figure: float | None) -> str | None:
    """GitLab writes a pipeline's coverage as text with two places."""
    return None if figure is None else f"{figure:.2f}"


class JobView:
    """Shows jobs in full. One view for a whole list looks up each runner once; a session forgets what nobody holds.

    `load` is told which jobs are going to be shown.
    """

    def __init__(self, instance: Instance, session: Session) -> None:
        self._instance = instance
        self._session = session
        self._runners: dict[int | None, dict[str, Any] | None] = {None: None}
        self._managers: dict[int | None, dict[str, Any] | None] = {None: None}
        self._files: dict[int, list[Artifact]] = {}

    def load(self, jobs: Sequence[Job]) -> None:
        """Read the files of these jobs at once."""
        self._files = {job.id: [] for job in jobs}
        for artifact in artifacts_of(self._session, *self._files):
            if not artifact.expired:
                self._files[artifact.job_id].append(artifact)

    def show(self, job: Job) -> dict[str, Any]:
        """API_Entities_Ci_Job."""
        files = self._files[job.id]
        archive = next((each for each in files if each.file_type == ARCHIVE), None)
        shown = {
            **show_job_basic(self._instance, job),
            "artifacts": _files(self._instance, job, files),
            "runner": self._runner(job.runner_id),
            "runner_manager": self._manager(job.manager_id),
            "artifacts_expire_at": stamp(job.artifacts_expire_at),
            "archived": False,
            "tag_list": job.tags,
        }
        if archive is not None:
            shown["artifacts_file"] = {"filename": archive.filename, "size": archive.size}
        return shown

    def _runner(self, runner_id: int | None) -> dict[str, Any] | None:
        if runner_id not in self._runners:
            runner = self._session.get(Runner, runner_id)
            self._runners[runner_id] = show_runner(self._instance, self._session, runner) if runner else None
        return self._runners[runner_id]

    def _manager(self, manager_id: int | None) -> dict[str, Any] | None:
        if manager_id not in self._managers:
            manager = self._session.get(RunnerManager, manager_id)
            self._managers[manager_id] = show_manager(manager) if manager else None
        return self._managers[manager_id]


def show_job(instance: Instance, session: Session, job: Job) -> dict[str, Any]:
    """API_Entities_Ci_Job."""
    view = JobView(instance, session)
    view.load([job])
    return view.show(job)


def _files(instance: Instance, job: Job, files: list[Artifact]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = [
        {
            "file_type": each.file_type,
            "size": each.size,
            "filename": each.filename,
            "file_format": each.file_format,
        }
        for each in files
    ]
    size = CiService.of(instance).traces.size(job.id)
    if job.complete and size:
        shown.append({"file_type": "trace", "size": size, "filename": "job.log", "file_format": None})
    return shown


def show_job_basic(instance: Instance, job: Job) -> dict[str, Any]:
    """API_Entities_Ci_JobBasic."""
    pipeline = job.pipeline
    shown = {
        "id": job.id,
        "status": job.status,
        "stage": job.stage,
        "name": job.name,
        "ref": pipeline.ref,
        "tag": pipeline.tag,
        "coverage": job.coverage,
        "allow_failure": job.allow_failure,
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at),
        "finished_at": stamp(job.finished_at),
        "erased_at": stamp(job.erased_at),
        "duration": _between(job.started_at, job.finished_at or (now() if job.started_at else None)),
        "queued_duration": _between(job.queued_at, job.started_at or (now() if job.queued_at else None)),
        "user": show_user(instance, job.user) if job.user else None,
        "commit": show_pipeline_commit(instance, pipeline),
        "pipeline": show_pipeline_basic(instance, pipeline),
        "web_url": job_url(instance, job),
        "project": {"ci_job_token_scope_enabled": bool(pipeline.project.setting("ci_job_token_scope_enabled"))},
    }
    if job.failure_reason is not None:
        shown["failure_reason"] = job.failure_reason
    return shown


def show_pipeline_commit(instance: Instance, pipeline: Pipeline) -> dict[str, Any] | None:
    """API_Entities_Commit, from what was kept with the pipeline."""
    commit = pipeline.commit
    if not commit:
        return None
    return {
        "id": commit["sha"],
        "short_id": commit["sha"][:8],
        "created_at": commit["committed_date"],
        "parent_ids": list(commit["parents"]),
        "title": commit["message"].strip().partition("\n")[0][:255],
        "message": commit["message"],
        "author_name": commit["author_name"],
        "author_email": commit["author_email"],
        "authored_date": commit["authored_date"],
        "committer_name": commit["committer_name"],
        "committer_email": commit["committer_email"],
        "committed_date": commit["committed_date"],
        "trailers": {},
        "extended_trailers": {},
        "web_url": instance.url(f"/{pipeline.project.full_path}/-/commit/{commit['sha']}"),
    }


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round(max((end - start).total_seconds(), 0.0), 6)


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def show_environment_basic(environment: Environment) -> dict[str, Any]:
    """API_Entities_EnvironmentBasic."""
    return {
        "id": environment.id,
        "name": environment.name,
        "slug": environment.slug,
        "external_url": environment.external_url,
        "created_at": stamp(environment.created_at),
        "updated_at": stamp(environment.updated_at),
    }


def show_environment(
    instance: Instance, session: Session, environment: Environment, *, deployed: bool = False
) -> dict[str, Any]:
    """API_Entities_Environment; with `deployed`, also what runs there now."""
    shown = {
        **show_environment_basic(environment),
        "tier": environment.tier,
        "state": environment.state,
        "description": environment.description,
        "auto_stop_at": stamp(environment.auto_stop_at),
        "auto_stop_setting": environment.auto_stop_setting,
        "project": show_basic(instance, environment.project),
        "cluster_agent": None,
        "kubernetes_namespace": None,
        "flux_resource_path": None,
    }
    if deployed:
        last = last_deployment(session, environment.id)
        shown["last_deployment"] = show_deployment(instance, session, last) if last else None
    return shown


def show_deployment(instance: Instance, session: Session, deployment: Deployment) -> dict[str, Any]:
    """API_Entities_Deployment."""
    job = session.get(Job, deployment.job_id) if deployment.job_id is not None else None
    return {
        "id": deployment.id,
        "iid": deployment.iid,
        "ref": deployment.ref,
        "sha": deployment.sha,
        "created_at": stamp(deployment.created_at),
        "updated_at": stamp(deployment.updated_at),
        "user": basic(instance, deployment.user) if deployment.user else None,
        "environment": show_environment_basic(deployment.environment),
        "deployable": show_job(instance, session, job) if job is not None else None,
        "status": deployment.status,
    }
