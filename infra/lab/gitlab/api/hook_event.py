"""Calls of a project's webhooks: a test, what came of the last ones, and the same once more."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import ApiError, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import array
from infra.lab.gitlab.api.route import Answer, Request, Response, Transaction, get, post
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.instance import Push
from infra.lab.gitlab.push import BRANCH, TAG
from infra.lab.gitlab.store.hook import Hook, HookLog
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.merge_request import MergeRequest
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.webhooks.delivery import UNSENT, target_of
from infra.lab.gitlab.webhooks.event import Event, Trigger, of_push
from infra.lab.gitlab.webhooks.part import delivery_of
from infra.lab.gitlab.webhooks.payload import payload

_HOOK = "/projects/:id/hooks/:hook_id"
_THINGS = {Trigger.MERGE_REQUEST: "merge requests", Trigger.PIPELINE: "CI pipelines", Trigger.JOB: "CI jobs"}
_FAILED = ("internal error", UNSENT, "4", "5")


def _hook(request: Request, session: Session) -> tuple[Project, Hook]:
    project = request.project(Role.MAINTAINER, session=session)
    hook = session.get(Hook, request.number("hook_id"))
    if hook is None or hook.project_id != project.id:
        raise not_found()
    return project, hook


def _test(request: Request) -> Answer:
    """Calls the hook with what happened last; who asks waits for its answer."""
    wanted = request.segment("trigger")
    with request.instance.store.read() as session:
        project, hook = _hook(request, session)
        if wanted not in set(Trigger):
            raise message(501, f"501 Not Implemented: a test of {wanted} is not part of the embedded GitLab")
        event = _newest(request, session, project, Trigger(wanted))
        body = payload(request.instance, session, event)
        if body is None:
            raise not_found()
        target = target_of(request.instance, session, hook, event, body)
    return _said(delivery_of(request.instance).send(target, attempts=1))


def _newest(request: Request, session: Session, project: Project, trigger: Trigger) -> Event:
    if trigger not in _THINGS:
        return _newest_push(request, project, trigger)
    found: MergeRequest | Pipeline | Job | None
    if trigger is Trigger.MERGE_REQUEST:
        of_project = select(MergeRequest).where(MergeRequest.project_id == project.id)
        found = session.scalars(of_project.order_by(MergeRequest.id.desc()).limit(1)).first()
    elif trigger is Trigger.PIPELINE:
        pipelines = select(Pipeline).where(Pipeline.project_id == project.id)
        found = session.scalars(pipelines.order_by(Pipeline.id.desc()).limit(1)).first()
    else:
        jobs = select(Job).where(Job.project_id == project.id)
        found = session.scalars(jobs.order_by(Job.id.desc()).limit(1)).first()
    if found is None:
        raise message(422, f"Ensure the project has {_THINGS[trigger]}.")
    whole = Event(trigger=trigger, project_id=project.id, object_id=found.id)
    return replace(whole, action="update") if isinstance(found, MergeRequest) else replace(whole, status=found.status)


def _newest_push(request: Request, project: Project, trigger: Trigger) -> Event:
    repository = request.instance.repository(project.id)
    tags = repository.tags() if trigger is Trigger.TAG_PUSH else []
    head = repository.branch(project.default_branch)
    if head is None:
        raise message(422, "Ensure the project has at least one commit.")
    commit = repository.commit(head.sha)
    ref = f"{TAG}{tags[-1].name if tags else 'v1.0.0'}" if trigger is Trigger.TAG_PUSH else BRANCH + head.name
    before = commit.parents[0] if commit and commit.parents and trigger is Trigger.PUSH else NO_OBJECT
    push = Push(id=0, project_id=project.id, ref=ref, before=before, after=head.sha, user_id=request.user.id)
    return of_push(push)


def _said(log: HookLog) -> Answer:
    if log.response_status.startswith(_FAILED):
        text = log.internal_error_message or f"Hook executed successfully but returned HTTP {log.response_status}"
        raise ApiError(422, {"message": text})
    return Response({"message": "201 Created"}, status=201)


def _list(request: Request) -> Answer:
    _, hook = _hook(request, request.session)
    statement = select(HookLog).where(HookLog.hook_id == hook.id)
    if wanted := request.params.get("status"):
        statement = statement.where(HookLog.response_status.in_(wanted))
    return paginate(request, statement.order_by(HookLog.id.desc()), _show)


def _show(log: HookLog) -> dict[str, Any]:
    return {
        "id": log.id,
        "url": log.url,
        "trigger": log.trigger,
        "request_headers": log.request_headers,
        "request_data": log.request_data,
        "response_headers": log.response_headers,
        "response_body": log.response_body or "",
        "execution_duration": log.execution_duration,
        "response_status": log.response_status,
    }


def _resend(request: Request) -> Answer:
    with request.instance.store.read() as session:
        project, hook = _hook(request, session)
        log = session.get(HookLog, request.number("hook_log_id"))
        if log is None or log.hook_id != hook.id:
            raise not_found()
        event = Event(trigger=Trigger(log.trigger), project_id=project.id)
        target = target_of(request.instance, session, hook, event, json.loads(json.dumps(log.request_data)))
    again = delivery_of(request.instance).send(target, attempts=1)
    return Response({"response_status": again.response_status}, status=201)


ROUTES = (
    post(f"{_HOOK}/test/:trigger", _test, transaction=Transaction.OWN),
    get(f"{_HOOK}/events", _list, array("status")),
    post(f"{_HOOK}/events/:hook_log_id/resend", _resend, transaction=Transaction.OWN),
)
