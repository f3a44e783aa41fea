"""Merge requests as the API shows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from infra.lab.gitlab.api.ci_entity import show_pipeline, show_pipeline_basic
from infra.lab.gitlab.api.route import Request
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.merge import Mergeability, has_conflicts, may_merge, mergeability
from infra.lab.gitlab.pipelines.merge_request import head_pipeline
from infra.lab.gitlab.store.base import stamp
from infra.lab.gitlab.store.merge_request import MergeRequest
from infra.lab.gitlab.store.note import note_count
from infra.lab.gitlab.store.user import User


def show_merge_request_basic(instance: Instance, session: Session, merge_request: MergeRequest) -> dict[str, Any]:
    """API_Entities_MergeRequestBasic."""
    repository = instance.repository(merge_request.project_id)
    detailed = mergeability(session, repository, merge_request)
    conflicts = merge_request.open and has_conflicts(repository, merge_request)
    merged_by = _person(instance, merge_request.merge_user if merge_request.merged_at else None)
    waits = merge_request.merge_parameters if merge_request.auto_merge else {}
    return {
        "id": merge_request.id,
        "iid": merge_request.iid,
        "project_id": merge_request.project_id,
        "title": merge_request.title,
        "description": merge_request.description,
        "state": merge_request.state,
        "created_at": stamp(merge_request.created_at),
        "updated_at": stamp(merge_request.updated_at),
        "merged_by": merged_by,
        "merge_user": _person(instance, merge_request.merge_user),
        "merged_at": stamp(merge_request.merged_at),
        "closed_by": _person(instance, merge_request.closed_by),
        "closed_at": stamp(merge_request.closed_at),
        "target_branch": merge_request.target_branch,
        "source_branch": merge_request.source_branch,
        "user_notes_count": note_count(session, merge_request),
        "upvotes": 0,
        "downvotes": 0,
        "author": _person(instance, merge_request.author),
        "assignees": [],
        "assignee": None,
        "reviewers": [],
        "source_project_id": merge_request.project_id,
        "target_project_id": merge_request.project_id,
        "labels": merge_request.labels,
        "draft": merge_request.draft,
        "imported": False,
        "imported_from": "none",
        "work_in_progress": merge_request.draft,
        "milestone": None,
        "merge_when_pipeline_succeeds": merge_request.auto_merge,
        "merge_status": "cannot_be_merged" if conflicts or detailed is Mergeability.NO_COMMITS else "can_be_merged",
        "detailed_merge_status": detailed.value,
        "merge_after": None,
        "sha": merge_request.head_sha,
        "merge_commit_sha": merge_request.merge_commit_sha if merge_request.merged_at else None,
        "squash_commit_sha": merge_request.squash_commit_sha if merge_request.merged_at else None,
        "discussion_locked": None,
        "should_remove_source_branch": waits.get("remove_source_branch"),
        "force_remove_source_branch": merge_request.remove_source_branch,
        "prepared_at": stamp(merge_request.created_at),
        "reference": f"!{merge_request.iid}",
        "references": {
            "short": f"!{merge_request.iid}",
            "relative": f"!{merge_request.iid}",
            "full": merge_request.reference,
        },
        "web_url": merge_request_url(instance, merge_request),
        "time_stats": {
            "time_estimate": 0,
            "total_time_spent": 0,
            "human_time_estimate": None,
            "human_total_time_spent": None,
        },
        "squash": merge_request.squash,
        "squash_on_merge": merge_request.squash,
        "task_completion_status": {"count": 0, "completed_count": 0},
        "has_conflicts": conflicts,
        "blocking_discussions_resolved": True,
    }


def merge_request_url(instance: Instance, merge_request: MergeRequest) -> str:
    """Its page."""
    return instance.url(f"/{merge_request.project.full_path}/-/merge_requests/{merge_request.iid}")


def _person(instance: Instance, user: User | None) -> dict[str, Any] | None:
    return None if user is None else basic(instance, user)


def show_merge_request(request: Request, session: Session, merge_request: MergeRequest) -> dict[str, Any]:
    """API_Entities_MergeRequest."""
    instance = request.instance
    repository = instance.repository(merge_request.project_id)
    pipeline = head_pipeline(session, merge_request)
    changed = repository.changed_paths(merge_request.base_sha or "", merge_request.head_sha)
    return {
        **show_merge_request_basic(instance, session, merge_request),
        "subscribed": False,
        "changes_count": str(len(changed)) if changed else None,
        "latest_build_started_at": stamp(pipeline.started_at) if pipeline else None,
        "latest_build_finished_at": stamp(pipeline.finished_at) if pipeline else None,
        "first_deployed_to_production_at": None,
        "pipeline": show_pipeline_basic(instance, pipeline) if pipeline else None,
        "head_pipeline": show_pipeline(instance, session, pipeline) if pipeline else None,
        "diff_refs": {
            "base_sha": merge_request.base_sha,
            "head_sha": merge_request.head_sha,
            "start_sha": merge_request.base_sha,
        },
        "merge_error": merge_request.merge_error,
        "first_contribution": False,
        "user": {"can_merge": may_merge(session, request.identity, merge_request)},
    }
