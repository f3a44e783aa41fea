"""What the GitLab Runner speaks: verify, ask for a job, tell its state, send its log.

Facts: gitlab-runner's network package and GitLab's lib/api/ci/runner.rb. Bad credentials are always 403, so that a
runner stops; a job that does not run any more is 403 with `Job-Status`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session

from infra.lab.gitlab.api.error import ApiError, bad_request, forbidden, message, not_found
from infra.lab.gitlab.api.parameter import anything, boolean, hash_of, integer, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Response, Route, Transaction, delete, patch, post, put
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.closing import JobReport, close_job, note_contact
from infra.lab.gitlab.pipelines.contact import (
    HEARTBEAT,
    Greeting,
    find_manager,
    find_runner,
    heartbeat,
    heartbeat_due,
    orphaned,
)
from infra.lab.gitlab.pipelines.handout import hand_out
from infra.lab.gitlab.pipelines.queue import CLOCK, changed
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.pipelines.trace import RangeMismatchError, TraceTooLargeError
from infra.lab.gitlab.store.job import WITH_RUNNER, Job
from infra.lab.gitlab.store.runner import PREFIX, Runner
from infra.lab.gitlab.store.token import digest_of, new_token
from pipelines.language.model import Status

UPDATE_INTERVAL = 3
"""Seconds between a runner's updates. GitLab says 3 while somebody watches and 60 else; here somebody mostly does."""

LAST_UPDATE = "X-GitLab-Last-Update"
_RANGE = re.compile(r"(\d{1,15})-(\d{0,15})")

_IDLE: WeakKeyDictionary[Instance, dict[tuple[str, str], tuple[str, float]]] = WeakKeyDictionary()
"""Runner processes that were told "nothing" at a queue value, and when (monotonic seconds)."""


def register(_request: Request) -> Answer:
    """Registration tokens are gone: runners are made by `POST /user/runners`."""
    raise message(410, "410 Gone")


def verify(request: Request) -> Answer:
    """Whether the token is a runner's."""
    greeting = Greeting.read(request.params)
    runner = _runner(request.session, greeting)
    heartbeat(request.session, runner, greeting)
    return Response({"id": runner.id, "token": greeting.token, "token_expires_at": None}, status=200)


def unregister(request: Request) -> Answer:
    """Removes the runner whose token this is."""
    request.session.delete(_runner(request.session, Greeting.read(request.params)))
    changed(request.session)
    return None


def unregister_manager(request: Request) -> Answer:
    """Removes one process of a runner."""
    greeting = Greeting.read(request.params)
    manager = find_manager(request.session, _runner(request.session, greeting), greeting.system_id)
    if manager is None:
        raise not_found()
    request.session.delete(manager)
    changed(request.session)
    return None


def reset_token(request: Request) -> Answer:
    """A new token in exchange for the old one."""
    runner = _runner(request.session, Greeting.read(request.params))
    token = new_token(PREFIX)
    runner.digest = digest_of(token)
    changed(request.session)
    return {"token": token, "token_expires_at": None}


def request_job(request: Request) -> Answer:
    """A job for the runner, or 204. With the queue's last value in hand and nothing new, this touches nothing."""
    greeting = Greeting.read(request.params)
    value = CLOCK.value
    idle = _IDLE.setdefault(request.instance, {})
    seen = idle.get((greeting.digest, greeting.system_id))
    fresh = seen is not None and seen[0] == value and time.monotonic() - seen[1] < HEARTBEAT.total_seconds()
    if fresh and request.params.get("last_update") == value:
        return _nothing(value)
    with request.instance.store.read() as session:
        runner = _runner(session, greeting)
        due = heartbeat_due(session, runner, greeting)
        manager = find_manager(session, runner, greeting.system_id)
    if due or manager is None:
        with request.instance.store.write() as session:
            manager = heartbeat(session, _runner(session, greeting), greeting)
    if not runner.paused:
        taken = hand_out(request.instance, runner.id, manager.id)
        if taken.body is not None:
            return Response(taken.body, status=201)
        if taken.lost:
            raise message(409, "409 Conflict")
    idle[(greeting.digest, greeting.system_id)] = (value, time.monotonic())
    return _nothing(value)


def _nothing(value: str) -> Response:
    return Response(status=204, headers={LAST_UPDATE: value})


def _runner(session: Session, greeting: Greeting) -> Runner:
    runner = find_runner(session, greeting.token)
    if runner is None:
        raise forbidden()
    if orphaned(session, runner):
        raise message(422, "422 Runner is orphaned")
    return runner


# Jobs


def token_of(params: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The job token of a request: in its body or query first, then in its header."""
    return params.get("token") or headers.get("job-token") or ""


def running_job(session: Session, instance: Instance, job_id: int, token: str) -> Job:
    """The job that the token proves, while a runner has it. Raises ApiError 403."""
    job = session.get(Job, job_id) if CiService.of(instance).tokens.job_id(token) == job_id else None
    if job is None:
        raise forbidden()
    if job.status not in WITH_RUNNER:
        raise ApiError(403, {"message": "403 Forbidden - Job is not running"}, {"Job-Status": job.status})
    return job


def update_job(request: Request) -> Answer:
    """How the job is going: still running, or how it ended."""
    job_id = request.number("job_id")
    params = request.params
    token = token_of(params, request.headers)
    with request.instance.store.read() as session:
        job = running_job(session, request.instance, job_id, token)
        status = job.status
    state = params.get("state") or Status.RUNNING
    if state in {Status.PENDING, Status.RUNNING}:
        note_contact(request.instance, job, confirm=True)
    elif state in {Status.SUCCESS, Status.FAILED}:
        report = JobReport(
            job_id=job_id,
            succeeded=state == Status.SUCCESS,
            failure_reason=params.get("failure_reason"),
            exit_code=params.get("exit_code"),
        )
        status = close_job(request.instance, report)
    else:
        raise bad_request(f"state {state} is not known")
    return _told(200, status)


def _told(code: int, status: str) -> Response:
    headers = {"Job-Status": status, "X-GitLab-Trace-Update-Interval": str(UPDATE_INTERVAL)}
    return Response(str(code).encode(), status=code, headers=headers, content_type="text/plain")


def append_trace(request: Request) -> Answer:
    """More of the job's log. Only the start of Content-Range counts, because clients differ about its end."""
    job_id = request.number("job_id")
    with request.instance.store.read() as session:
        job = running_job(session, request.instance, job_id, token_of(request.params, request.headers))
    given = request.headers.get("content-range")
    match = _RANGE.match(given) if given else None
    if match is None:
        raise message(400, "400 Missing header Content-Range")
    try:
        size = CiService.of(request.instance).traces.append(job_id, int(match[1]), request.body)
    except RangeMismatchError as error:
        raise ApiError(416, {"message": "416 Range Not Satisfiable"}, {"Range": f"0-{error.size}"}) from error
    except TraceTooLargeError as error:
        close_job(request.instance, JobReport.too_much_log(job_id))
        raise forbidden() from error
    note_contact(request.instance, job, confirm=True)
    answer = _told(202, job.status)
    return Response(answer.body, 202, {**answer.headers, "Range": f"0-{size}"}, answer.content_type)


_GREETING = (string("token", required=True), string("system_id"), hash_of("info"))
_OPEN = Entry.OPEN

ROUTES: tuple[Route, ...] = (
    post("/runners", register, string("token"), entry=_OPEN),
    delete("/runners", unregister, *_GREETING, entry=_OPEN),
    post("/runners/verify", verify, *_GREETING, entry=_OPEN),
    delete(
        "/runners/managers",
        unregister_manager,
        string("token", required=True),
        string("system_id", required=True),
        entry=_OPEN,
    ),
    post("/runners/reset_authentication_token", reset_token, *_GREETING, entry=_OPEN),
    post(
        "/jobs/request",
        request_job,
        *_GREETING,
        string("last_update"),
        hash_of("session"),
        entry=_OPEN,
        transaction=Transaction.OWN,
    ),
    put(
        "/jobs/:job_id",
        update_job,
        string("token"),
        string("state"),
        string("failure_reason"),
        string("checksum"),
        anything("output"),
        integer("exit_code"),
        entry=_OPEN,
        transaction=Transaction.OWN,
    ),
    patch(
        "/jobs/:job_id/trace",
        append_trace,
        string("token"),
        boolean("debug_trace"),
        entry=_OPEN,
        transaction=Transaction.OWN,
    ),
)
