"""Reads the engine's event stream: changes, progress, and why a resource failed."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

from pulumi.automation.events import EngineEvent, OpType, StepEventMetadata

from infra.core.progress import Progress
from infra.programs.plan import Change, Op, urn_name, urn_type

_OPS: dict[OpType, Op] = {
    OpType.CREATE: Op.CREATE,
    OpType.UPDATE: Op.UPDATE,
    OpType.REPLACE: Op.REPLACE,
    OpType.DELETE: Op.DELETE,
    OpType.DISCARD: Op.FORGET,
}

_MARKUP = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
_RPC = re.compile(r"^(?:.*rpc error: code = \w+ desc = )", re.DOTALL)


def plain(message: str) -> str:
    """An engine message without colours and without what gRPC puts around it."""
    text = _MARKUP.sub("", message).strip()
    text = re.sub(r"^\d+ errors? occurred:\s*\*\s*", "", text)
    text = text.removeprefix("python inline source runtime error: ").partition("\nTraceback (most recent call last)")[0]
    return _RPC.sub("", text).strip()


@dataclass
class Failure:
    """A resource that failed, and why."""

    urn: str
    message: str


@dataclass
class Watcher:
    """Collects what one update does. Called from the engine's event thread."""

    stack: str
    progress: Progress
    changes: list[Change] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    _seen: set[tuple[str, Op]] = field(default_factory=set)
    _open: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, event: EngineEvent) -> None:
        """One event."""
        with self._lock:
            if event.resource_pre_event is not None:
                self._step(event.resource_pre_event.metadata, planning=bool(event.resource_pre_event.planning))
            elif event.res_outputs_event is not None:
                self._finished(event.res_outputs_event.metadata)
            elif event.diagnostic_event is not None and event.diagnostic_event.severity == "error":
                self._failed(event.diagnostic_event.urn or "", plain(event.diagnostic_event.message))

    def _step(self, step: StepEventMetadata, *, planning: bool) -> None:
        op = _OPS.get(step.op)
        if op is None or not step.type.startswith("forgeline:") or step.type.startswith("forgeline:component:"):
            return
        key = (step.urn, op)
        if key not in self._seen:
            self._seen.add(key)
            fields = _fields(step) if op in {Op.UPDATE, Op.REPLACE} else ()
            change = Change(stack=self.stack, op=op, kind=step.type, name=urn_name(step.urn), fields=fields)
            self.changes.append(change)
        if not planning:
            self._open.append(step.urn)
            self._show()

    def _finished(self, step: StepEventMetadata) -> None:
        if step.urn in self._open:
            self._open.remove(step.urn)
            if self._open:
                self._show()

    def _show(self) -> None:
        first = self._open[0]
        more = f" and {len(self._open) - 1} more" if len(self._open) > 1 else ""
        self.progress.start(self.stack, f"{urn_type(first).rpartition(':')[2]} {urn_name(first)}{more}")

    def _failed(self, urn: str, message: str) -> None:
        if urn and urn_type(urn) == "pulumi:pulumi:Stack" and message in {"update failed", "preview failed"}:
            return
        if urn:
            self.failures.append(Failure(urn, message))
        else:
            self.messages.append(message)


def _fields(step: StepEventMetadata) -> tuple[str, ...]:
    names = list(step.detailed_diff or {}) or list(step.diffs or [])
    return tuple(sorted(set(names)))
