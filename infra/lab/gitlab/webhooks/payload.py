"""What a webhook is told, in GitLab's words (its documentation, "Webhook events")."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from infra.lab.gitlab.api.avatar import Owner, avatar_url
from infra.lab.gitlab.api.merge_request_entity import merge_request_url
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.git_object import Commit
from infra.lab.gitlab.instance import Instance, Push
from infra.lab.gitlab.push import BRANCH, TAG, branch_rules
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.merge_request import MergeRequest
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.protection import RefKind, protections_of
from infra.lab.gitlab.store.user import User
from infra.lab.gitlab.webhooks.ci_payload import job_payload, pipeline_payload
from infra.lab.gitlab.webhooks.entity import commit_data, moment, project_data, repository_data, user_data
from infra.lab.gitlab.webhooks.event import Event, Trigger

COMMITS = 20
"""The newest commits of a push that are told."""


def payload(instance: Instance, session: Session, event: Event) -> dict[str, Any] | None:
    """The body for an event; None when what it is about is gone."""
    project = session.get(Project, event.project_id)
    if project is None:
        return None
    if event.push is not None:
        return _push(instance, session, project, event.push, event.trigger)
    if event.trigger is Trigger.MERGE_REQUEST:
        merge_request = session.get(MergeRequest, event.object_id)
        return None if merge_request is None else _merge_request(instance, merge_request, event)
    if event.trigger is Trigger.PIPELINE:
        pipeline = session.get(Pipeline, event.object_id)
        return None if pipeline is None else pipeline_payload(instance, session, pipeline, event.status)
    job = session.get(Job, event.object_id)
    return None if job is None else job_payload(instance, session, job, event.status)


def _push(instance: Instance, session: Session, project: Project, push: Push, trigger: Trigger) -> dict[str, Any]:
    repository = instance.repository(project.id)
    user = session.get(User, push.user_id) if push.user_id else None
    shown = project_data(instance, project)
    tag = trigger is Trigger.TAG_PUSH
    name = push.ref.removeprefix(TAG if tag else BRANCH)
    rules = protections_of(session, project.id, RefKind.TAG, name) if tag else branch_rules(session, project, name)
    commits = _pushed(repository, push)
    kind = "tag_push" if tag else "push"
    label = repository.tag(name) if tag else None
    return {
        "object_kind": kind,
        "event_name": kind,
        "before": push.before,
        "after": push.after,
        "ref": push.ref,
        "ref_protected": bool(rules),
        "checkout_sha": None if push.after == NO_OBJECT else repository.resolve(push.after),
        "message": label.message or None if label else None,
        "user_id": user.id if user else None,
        "user_name": user.name if user else None,
        "user_username": user.username if user else None,
        "user_email": user.profile.get("public_email") if user else None,
        "user_avatar": avatar_url(instance, Owner.USER, user.id, user.profile) if user else None,
        "project_id": project.id,
        "project": shown,
        "commits": [
            {**commit_data(instance, project, commit), **_files(repository, commit)}
            for commit in commits[:COMMITS][::-1]
        ],
        "total_commits_count": len(commits),
        "push_options": _options(push.options),
        "repository": repository_data(shown),
    }


def _pushed(repository: Repository, push: Push) -> list[Commit]:
    """The commits that a branch gained, the newest first. A tag gains none; a new branch those of no other branch."""
    if push.after == NO_OBJECT or push.ref.startswith(TAG):
        return []
    if push.before != NO_OBJECT:
        return list(repository.commits([push.after, f"^{push.before}"]))
    others = [f"^{sha}" for ref, sha in repository.refs().items() if ref.startswith(BRANCH) and ref != push.ref]
    return list(repository.commits([push.after, *others]))


def _files(repository: Repository, commit: Commit) -> dict[str, list[str]]:
    diffs = repository.diff(commit.parents[0] if commit.parents else None, commit.sha)
    return {
        "added": [diff.new_path for diff in diffs if diff.added],
        "modified": [diff.new_path for diff in diffs if not diff.added and not diff.deleted],
        "removed": [diff.old_path for diff in diffs if diff.deleted],
    }


def _options(options: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """`ci.skip` as `{"ci": {"skip": true}}`."""
    shown: dict[str, dict[str, Any]] = {}
    for option in options:
        name, _, value = option.partition("=")
        area, _, key = name.partition(".")
        shown.setdefault(area, {})[key] = value or True
    return shown


def _merge_request(instance: Instance, merge_request: MergeRequest, event: Event) -> dict[str, Any]:
    project = merge_request.project
    shown = project_data(instance, project)
    actors = {"merge": merge_request.merge_user, "close": merge_request.closed_by}
    last = instance.repository(project.id).commit(merge_request.head_sha)
    labels = [{"title": label} for label in merge_request.labels]
    return {
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": user_data(instance, actors.get(event.action) or merge_request.author),
        "project": shown,
        "repository": repository_data(shown),
        "object_attributes": {
            "id": merge_request.id,
            "iid": merge_request.iid,
            "target_branch": merge_request.target_branch,
            "source_branch": merge_request.source_branch,
            "source_project_id": project.id,
            "target_project_id": project.id,
            "author_id": merge_request.author_id,
            "assignee_ids": [],
            "reviewer_ids": [],
            "title": merge_request.title,
            "description": merge_request.description,
            "created_at": moment(merge_request.created_at),
            "updated_at": moment(merge_request.updated_at),
            "state": merge_request.state,
            "draft": merge_request.draft,
            "merge_commit_sha": merge_request.merge_commit_sha,
            "merge_when_pipeline_succeeds": merge_request.auto_merge,
            "merge_user_id": merge_request.merge_user_id,
            "url": merge_request_url(instance, merge_request),
            "source": shown,
            "target": shown,
            "last_commit": None if last is None else commit_data(instance, project, last),
            "labels": labels,
            "action": event.action,
            **({"oldrev": event.old_head} if event.old_head else {}),
        },
        "labels": labels,
        "changes": event.changes,
    }
