"""What happens in a project: told by pushes, and noticed in what transactions change of jobs, pipelines and merges.

The calls that an event makes necessary are written in the transaction that it happened in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import event as orm_event
from sqlalchemy import inspect
from sqlalchemy.orm import Session, UOWTransaction

from infra.lab.gitlab.instance import Push
from infra.lab.gitlab.store.base import Store
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.merge_request import MergeRequest, MergeRequestState
from infra.lab.gitlab.store.pipeline import Pipeline

_TAG = "refs/tags/"
_KEY, _NOTED = "webhook_events", "webhook_calls"
_MERGE_REQUEST_FIELDS = ("title", "description", "target_branch", "labels")
_ACTIONS = {MergeRequestState.OPENED: "reopen", MergeRequestState.CLOSED: "close", MergeRequestState.MERGED: "merge"}


class Trigger(StrEnum):
    """What a hook is called for, by the name of its switch."""

    PUSH = "push_events"
    TAG_PUSH = "tag_push_events"
    MERGE_REQUEST = "merge_requests_events"
    PIPELINE = "pipeline_events"
    JOB = "job_events"


TITLES = {
    Trigger.PUSH: "Push Hook",
    Trigger.TAG_PUSH: "Tag Push Hook",
    Trigger.MERGE_REQUEST: "Merge Request Hook",
    Trigger.PIPELINE: "Pipeline Hook",
    Trigger.JOB: "Job Hook",
}
"""`X-Gitlab-Event` (GitLab's documentation, "Webhook events")."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened.

    `status` is what a job or pipeline became: by the time that is told it may have moved on.
    """

    trigger: Trigger
    project_id: int
    object_id: int = 0
    status: str = ""
    action: str = ""
    """Of a merge request: open, update, close, reopen, merge."""
    old_head: str | None = None
    """Where a merge request's source branch was before."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Of a merge request: fields to their value before and now."""
    push: Push | None = None

    def fields(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Event:
        """From `fields`."""
        push = fields["push"]
        pushed = Push(**{**push, "options": tuple(push["options"])}) if push else None
        return cls(**{**fields, "trigger": Trigger(fields["trigger"]), "push": pushed})


def of_push(push: Push) -> Event:
    """The event of a ref that moved."""
    trigger = Trigger.TAG_PUSH if push.ref.startswith(_TAG) else Trigger.PUSH
    return Event(trigger=trigger, project_id=push.project_id, push=push)


def happen(session: Session, event: Event) -> None:
    """Have an event told that no row shows."""
    session.info.setdefault(_KEY, []).append(event)


def follow(store: Store, note: Callable[[Session, list[Event]], list[int]], tell: Callable[[list[int]], None]) -> None:
    """Have `note` called with the events of every transaction of the store before it is committed, and `tell` with what
    it made of them once that is done."""

    def flushed(session: Session, _context: UOWTransaction) -> None:
        for changed in (*session.new, *session.dirty):
            if found := _event(changed):
                happen(session, found)

    def committing(session: Session) -> None:
        session.flush()
        if events := session.info.pop(_KEY, None):
            session.info.setdefault(_NOTED, []).extend(note(session, events))

    def committed(session: Session) -> None:
        if noted := session.info.pop(_NOTED, None):
            tell(noted)

    def undone(session: Session) -> None:
        session.info.pop(_KEY, None)
        session.info.pop(_NOTED, None)

    orm_event.listen(store.writing, "after_flush", flushed)
    orm_event.listen(store.writing, "before_commit", committing)
    orm_event.listen(store.writing, "after_commit", committed)
    orm_event.listen(store.writing, "after_rollback", undone)


def _event(changed: Any) -> Event | None:
    if isinstance(changed, (Job, Pipeline)):
        trigger = Trigger.JOB if isinstance(changed, Job) else Trigger.PIPELINE
        if not _before(changed, "status"):
            return None
        status = str(changed.status)
        return Event(trigger=trigger, project_id=changed.project_id, object_id=changed.id, status=status)
    return _merge_request_event(changed) if isinstance(changed, MergeRequest) else None


def _merge_request_event(changed: MergeRequest) -> Event | None:
    head = _before(changed, "head_sha")
    changes = {
        name: {"previous": before[0], "current": getattr(changed, name)}
        for name in _MERGE_REQUEST_FIELDS
        if (before := _before(changed, name))
    }
    if not inspect(changed).persistent:
        action, head, changes = "open", (), {}
    elif _before(changed, "state"):
        action = _ACTIONS[MergeRequestState(changed.state)]
    elif head or changes:
        action = "update"
    else:
        return None
    return Event(
        trigger=Trigger.MERGE_REQUEST,
        project_id=changed.project_id,
        object_id=changed.id,
        action=action,
        old_head=head[0] if head else None,
        changes=changes,
    )


def _before(changed: Any, name: str) -> tuple[Any, ...]:
    """The value that a field had, as the only item; nothing where it did not change. A new row had None."""
    history = inspect(changed).attrs[name].history
    if not history.has_changes():
        return ()
    return tuple(history.deleted) or (None,)
