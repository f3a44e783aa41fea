"""What a webhook is told of pipelines and jobs (GitLab's documentation, "Webhook events": pipeline and job events)."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from infra.lab.gitlab.api.ci_entity import pipeline_url, running_seconds
from infra.lab.gitlab.api.merge_request_entity import merge_request_url
from infra.lab.gitlab.git_object import Commit
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.environment import Environment
from infra.lab.gitlab.store.job import Job, latest_jobs
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.runner import Runner
from infra.lab.gitlab.webhooks.entity import (
    commit_data,
    moment,
    project_data,
    repository_data,
    seconds,
    user_data,
    whole_seconds,
)


def pipeline_payload(instance: Instance, session: Session, pipeline: Pipeline, status: str) -> dict[str, Any]:
    """A pipeline that became `status`, with its jobs as they are now."""
    jobs = latest_jobs(session, pipeline.id)
    merge_request = pipeline.merge_request
    return {
        "object_kind": "pipeline",
        "object_attributes": {
            "id": pipeline.id,
            "iid": pipeline.iid,
            "name": pipeline.name,
            "ref": pipeline.source_ref,
            "tag": pipeline.tag,
            "sha": pipeline.sha,
            "before_sha": pipeline.before_sha,
            "source": pipeline.source,
            "status": status,
            "detailed_status": "passed" if status == "success" else status,
            "stages": pipeline.stages,
            "created_at": moment(pipeline.created_at),
            "finished_at": moment(pipeline.finished_at),
            "duration": whole_seconds(running_seconds(jobs)),
            "queued_duration": whole_seconds(seconds(pipeline.created_at, pipeline.started_at)),
            "protected_ref": pipeline.protected,
            "variables": [{"key": pair["key"], "value": pair["value"]} for pair in pipeline.variables],
            "url": pipeline_url(instance, pipeline),
        },
        "merge_request": None
        if merge_request is None
        else {
            "id": merge_request.id,
            "iid": merge_request.iid,
            "title": merge_request.title,
            "source_branch": merge_request.source_branch,
            "source_project_id": merge_request.project_id,
            "target_branch": merge_request.target_branch,
            "target_project_id": merge_request.project_id,
            "state": merge_request.state,
            "url": merge_request_url(instance, merge_request),
        },
        "user": user_data(instance, pipeline.user),
        "project": project_data(instance, pipeline.project),
        "commit": commit_data(instance, pipeline.project, Commit(**pipeline.commit)) if pipeline.commit else None,
        "builds": [_build(instance, session, job) for job in jobs],
    }


def _build(instance: Instance, session: Session, job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "stage": job.stage,
        "name": job.name,
        "status": job.status,
        "created_at": moment(job.created_at),
        "started_at": moment(job.started_at),
        "finished_at": moment(job.finished_at),
        "duration": seconds(job.started_at, job.finished_at or now()),
        "queued_duration": seconds(job.queued_at, job.started_at or now()),
        "failure_reason": job.failure_reason,
        "when": job.when,
        "manual": job.when == "manual",
        "allow_failure": job.allow_failure,
        "user": user_data(instance, job.user),
        "runner": _runner(session, job),
        "artifacts_file": {"filename": None, "size": None},
        "environment": _environment(session, job),
    }


def job_payload(instance: Instance, session: Session, job: Job, status: str) -> dict[str, Any]:
    """A job that became `status`."""
    pipeline, project = job.pipeline, job.pipeline.project
    shown = project_data(instance, project)
    commit = Commit(**pipeline.commit) if pipeline.commit else None
    return {
        "object_kind": "build",
        "ref": pipeline.source_ref,
        "tag": pipeline.tag,
        "before_sha": pipeline.before_sha,
        "sha": pipeline.sha,
        "retries_count": job.tries,
        "build_id": job.id,
        "build_name": job.name,
        "build_stage": job.stage,
        "build_status": status,
        "build_created_at": moment(job.created_at),
        "build_started_at": moment(job.started_at),
        "build_finished_at": moment(job.finished_at),
        "build_duration": seconds(job.started_at, job.finished_at or now()),
        "build_queued_duration": seconds(job.queued_at, job.started_at or now()),
        "build_allow_failure": job.allow_failure,
        "build_failure_reason": job.failure_reason or "unknown_failure",
        "pipeline_id": pipeline.id,
        "runner": _runner(session, job),
        "project_id": project.id,
        "project_name": project.name_with_namespace,
        "user": user_data(instance, job.user),
        "commit": {
            "id": pipeline.id,
            "name": pipeline.name,
            "sha": pipeline.sha,
            "message": commit.message if commit else None,
            "author_name": commit.author_name if commit else None,
            "author_email": commit.author_email if commit else None,
            "author_url": None,
            "status": pipeline.status,
            "duration": whole_seconds(running_seconds(latest_jobs(session, pipeline.id))),
            "started_at": moment(pipeline.started_at),
            "finished_at": moment(pipeline.finished_at),
        },
        "repository": repository_data(shown),
        "project": shown,
        "environment": _environment(session, job),
    }


def _runner(session: Session, job: Job) -> dict[str, Any] | None:
    runner = session.get(Runner, job.runner_id) if job.runner_id else None
    if runner is None:
        return None
    return {
        "id": runner.id,
        "description": runner.description,
        "runner_type": runner.runner_type,
        "active": not runner.paused,
        "is_shared": runner.runner_type == "instance_type",
        "tags": runner.tags,
    }


def _environment(session: Session, job: Job) -> dict[str, Any] | None:
    environment = session.get(Environment, job.environment_id) if job.environment_id else None
    said = job.spec.environment
    if environment is None or said is None:
        return None
    return {"name": environment.name, "action": said.action, "deployment_tier": environment.tier}
