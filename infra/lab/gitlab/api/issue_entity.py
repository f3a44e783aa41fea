"""Issues as the API shows them."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy.orm import Session

from infra.lab.gitlab.api.route import Request
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.store.base import stamp
from infra.lab.gitlab.store.issue import Issue
from infra.lab.gitlab.store.note import note_count

_TASK = re.compile(r"^(?:>\s{0,4})*(?:\s*(?:[-+*]|\d+\.))+\s+\[([\sxX])\]\s.+", re.MULTILINE)
"""An item to tick off (GitLab's app/models/concerns/taskable.rb)."""


def show_issue(request: Request, session: Session, issue: Issue) -> dict[str, Any]:
    """API_Entities_Issue."""
    instance = request.instance
    assignees = [basic(instance, issue.assignee)] if issue.assignee else []
    ticks = _TASK.findall(issue.description or "")
    api = instance.url(f"/api/v4/projects/{issue.project_id}")
    return {
        "id": issue.id,
        "iid": issue.iid,
        "project_id": issue.project_id,
        "title": issue.title,
        "description": issue.description,
        "state": issue.state,
        "created_at": stamp(issue.created_at),
        "updated_at": stamp(issue.updated_at),
        "closed_at": stamp(issue.closed_at),
        "closed_by": basic(instance, issue.closed_by) if issue.closed_by else None,
        "labels": issue.labels,
        "milestone": None,
        "assignees": assignees,
        "author": basic(instance, issue.author) if issue.author else None,
        "type": "ISSUE",
        "assignee": assignees[0] if assignees else None,
        "user_notes_count": note_count(session, issue),
        "merge_requests_count": 0,
        "upvotes": 0,
        "downvotes": 0,
        "due_date": issue.due_date,
        "confidential": issue.confidential,
        "discussion_locked": issue.discussion_locked,
        "issue_type": "issue",
        "web_url": instance.url(f"/{issue.project.full_path}/-/issues/{issue.iid}"),
        "time_stats": {
            "time_estimate": 0,
            "total_time_spent": 0,
            "human_time_estimate": None,
            "human_total_time_spent": None,
        },
        "task_completion_status": {"count": len(ticks), "completed_count": sum(not tick.isspace() for tick in ticks)},
        "has_tasks": bool(ticks),
        "_links": {
            "self": f"{api}/issues/{issue.iid}",
            "notes": f"{api}/issues/{issue.iid}/notes",
            "project": api,
        },
        "references": {"short": f"#{issue.iid}", "relative": f"#{issue.iid}", "full": issue.reference},
        "severity": "UNKNOWN",
        "subscribed": issue.is_of(request.identity.user_id),
        "moved_to_id": None,
        "imported": False,
        "imported_from": "none",
        "service_desk_reply_to": None,
    }
