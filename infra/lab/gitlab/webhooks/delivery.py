"""Sending: one request a hook and event, from threads of its own, so that nobody waits for who is called.

A call waits in the database until it was made or given up, so that a server that is killed makes it when it is back.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from infra.lab.gitlab.instance import VERSION, Instance
from infra.lab.gitlab.push import BRANCH
from infra.lab.gitlab.store.hook import Hook, HookCall, HookLog
from infra.lab.gitlab.store.setting import settings_of
from infra.lab.gitlab.webhooks.event import TITLES, Event, Trigger
from infra.lab.gitlab.webhooks.payload import payload
from pipelines.language.pattern import Pattern, PatternError

TIMEOUT = 10.0
"""Seconds for an answer, as GitLab's `webhook_timeout`."""
WAITS = (1.0, 4.0)
"""Seconds before each further attempt where nobody could be reached. After any answer there is none."""
BACKLOG = 1_000
"""Calls that wait; more are dropped, and the log says so."""
SENDERS = 4
ANSWER_LIMIT = 8_192
"""Characters of an answer that are kept."""
BLOCKED = (
    "URL is blocked: the embedded GitLab calls this machine only; allow the host in outbound_local_requests_whitelist"
)
HIDDEN = "[REDACTED]"
UNSENT = "unsent"
"""The status of a call that the server stopped before: it is made at the next start."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A hook that is to be called for an event. The token is a secret."""

    hook_id: int
    url: str
    trigger: Trigger
    headers: Mapping[str, str]
    body: dict[str, Any]
    blocked: bool
    verify: bool
    """Whether the receiver must have a certificate that this machine trusts."""

    def __repr__(self) -> str:
        return f"Target(hook_id={self.hook_id}, trigger={self.trigger})"


class Delivery:
    """The senders of one instance."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._calls: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, name="webhook", daemon=True) for _ in range(SENDERS)]

    def start(self) -> None:
        """Begins to send, first what was left over; returns at once."""
        with self._instance.store.read() as session:
            self.tell(session.scalars(select(HookCall.id).order_by(HookCall.id)).all())
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Sends nothing more until the next start. A call that is under way is waited for, two seconds at most."""
        self._stopped.set()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=2)

    def note(self, session: Session, events: Sequence[Event]) -> list[int]:
        """Write down the calls that these events ask for, in the transaction of the events; their ids."""
        wanted = wanting(session, events)
        if self._calls.qsize() + len(wanted) > BACKLOG:
            _LOG.warning("webhooks: %d calls are dropped: too many wait", len(wanted))
            return []
        calls = [HookCall(hook_id=hook.id, key=str(uuid.uuid4()), event=event.fields()) for hook, event in wanted]
        session.add_all(calls)
        session.flush()
        return [call.id for call in calls]

    def tell(self, calls: Sequence[int]) -> None:
        """Have these calls made, now that they are written. Returns at once."""
        for call in calls:
            self._calls.put(call)

    def _run(self) -> None:
        while not self._stopped.is_set():
            call = self._calls.get()
            if call is None:
                return
            try:
                if self._make(call):
                    self._forget(call)
            except Exception:  # noqa: BLE001 - one call that can't be made must not end the others
                _LOG.exception("webhooks: call %s could not be made", call)
                self._forget(call)

    def _make(self, call_id: int) -> bool:
        """Makes a call that waits; whether it is over."""
        with self._instance.store.read() as session:
            call = session.get(HookCall, call_id)
            hook = session.get(Hook, call.hook_id) if call else None
            if call is None or hook is None:
                return False
            event = Event.of(call.event)
            body = payload(self._instance, session, event)
            target = target_of(self._instance, session, hook, event, body, key=call.key) if body is not None else None
        return target is None or self.send(target).response_status != UNSENT

    def _forget(self, call_id: int) -> None:
        with self._instance.store.write() as session:
            session.execute(delete(HookCall).where(HookCall.id == call_id))

    def send(self, target: Target, *, attempts: int = 1 + len(WAITS)) -> HookLog:
        """Calls the hook, and keeps what came of it; UNSENT where the server stopped first."""
        started = time.monotonic()
        log = HookLog(hook_id=target.hook_id, url=target.url, trigger=target.trigger, request_data=target.body)
        log.request_headers = {
            **target.headers,
            **({"X-Gitlab-Token": HIDDEN} if "X-Gitlab-Token" in target.headers else {}),
        }
        if target.blocked:
            log.response_status, log.internal_error_message = "internal error", BLOCKED
        else:
            self._call(target, log, attempts)
        log.execution_duration = round(time.monotonic() - started, 3)
        if log.response_status == UNSENT:
            return log
        with self._instance.store.write() as session:
            if session.get(Hook, target.hook_id) is not None:
                session.add(log)
                session.flush()
                HookLog.sweep(session, target.hook_id)
        return log

    def _call(self, target: Target, log: HookLog, attempts: int) -> None:
        content = json.dumps(target.body).encode()
        for wait in (0.0, *WAITS)[:attempts]:
            if self._stopped.wait(wait):
                log.response_status = UNSENT
                return
            try:
                # Neither this process's proxies nor a redirect, which httpx does not follow, may lead anywhere else.
                with httpx.Client(timeout=TIMEOUT, trust_env=False, verify=target.verify) as client:
                    answer = client.post(target.url, content=content, headers=dict(target.headers))
            except httpx.HTTPError as error:
                log.response_status, log.internal_error_message = "internal error", type(error).__name__
                continue
            log.response_status, log.internal_error_message = str(answer.status_code), None
            log.response_headers, log.response_body = dict(answer.headers), answer.text[:ANSWER_LIMIT]
            return


def wanting(session: Session, events: Sequence[Event]) -> list[tuple[Hook, Event]]:
    """The hooks of the events' projects that are to be called, each with its event."""
    projects = {event.project_id for event in events}
    hooks = session.scalars(select(Hook).where(Hook.project_id.in_(projects)).order_by(Hook.id)).all()
    return [
        (hook, event)
        for event in events
        for hook in hooks
        if hook.project_id == event.project_id and hook.wants(event.trigger) and _branch_fits(hook, event)
    ]


def target_of(
    instance: Instance, session: Session, hook: Hook, event: Event, body: dict[str, Any], *, key: str = ""
) -> Target:
    """The call of one hook (GitLab's documentation, "Webhooks": delivery headers). `key`: of one made before."""
    token = hook.token(instance)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"GitLab/{VERSION}",
        "Idempotency-Key": key or str(uuid.uuid4()),
        "X-Gitlab-Event": TITLES[event.trigger],
        "X-Gitlab-Webhook-UUID": str(
            uuid.uuid5(uuid.NAMESPACE_URL, f"{instance.settings.external_url}/hooks/{hook.id}")
        ),
        "X-Gitlab-Instance": instance.settings.external_url,
        "X-Gitlab-Event-UUID": str(uuid.uuid4()),
        **({"X-Gitlab-Token": token} if token else {}),
    }
    return Target(
        hook_id=hook.id,
        url=hook.url,
        trigger=event.trigger,
        headers=headers,
        body=body,
        blocked=not may_call(session, hook.url),
        verify=urlsplit(hook.url).scheme == "https" and bool(hook.settings.get("enable_ssl_verification", True)),
    )


def may_call(session: Session, url: str) -> bool:
    """Whether a hook may be called: on this machine, or on a host that an administrator has allowed."""
    host = urlsplit(url).hostname or ""
    allowed = settings_of(session)["outbound_local_requests_whitelist"]
    return host == "localhost" or host in allowed or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _branch_fits(hook: Hook, event: Event) -> bool:
    """Whether a push is to a branch that the hook is for (GitLab's documentation, "Filter push events by branch")."""
    wanted = hook.settings.get("push_events_branch_filter")
    strategy = hook.settings.get("branch_filter_strategy") or "wildcard"
    if event.trigger is not Trigger.PUSH or event.push is None or not wanted or strategy == "all_branches":
        return True
    branch = event.push.ref.removeprefix(BRANCH)
    try:
        if strategy == "regex":
            return Pattern(wanted).search(branch)
        return Pattern("^" + ".*".join(map(_literal, wanted.split("*"))) + "$").search(branch)
    except PatternError:
        return False


def _literal(text: str) -> str:
    return "".join(each if each.isalnum() else "\\" + each for each in text)
