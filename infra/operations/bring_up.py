"""The whole way from a checkout to a running stack, and what stands beside it: preview, drift, down, destroy."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.clients.process import Processes
from infra.clients.request import writes
from infra.clients.supervisor import Supervisor
from infra.core.error import ServerError
from infra.core.progress import Phases, Progress
from infra.core.settings import Settings
from infra.operations import desired
from infra.operations.doctor import Check, Verdict, examine, java, may_install
from infra.operations.run_lock import only_run
from infra.programs.plan import Drift, Plan
from infra.programs.session import Session
from infra.programs.stack import Layer, Stack
from infra.provider.connection import Connections
from infra.toolchain.toolchain import LAB_TOOLS, InstalledTool, Toolchain
from pipelines.catalogue import Catalogue

MADE = (
    "deployments",
    "runner",
    "gitlab",
    "nexus",
    "openbao",
    "supervisor",
    "operations",
    "pulumi",
    "bootstrap.key",
    "run.lock",
)
"""What a run makes in the state folder; the key last, for without it nothing else can be read."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did. `writes` counts requests that may have changed something; `phases` are seconds by title."""

    plans: tuple[Plan, ...]
    writes: int
    phases: dict[str, float]

    @property
    def changed(self) -> bool:
        """Whether anything is other than before."""
        return self.writes > 0 or any(plan.changes for plan in self.plans)

    def as_json(self) -> dict[str, Any]:
        """A JSON object with what changed and how long it took."""
        return {
            "changed": self.changed,
            "writes": self.writes,
            "phases": {title: round(seconds, 2) for title, seconds in self.phases.items()},
            "changes": [vars(change) for plan in self.plans for change in plan.changes],
        }


@dataclass
class Bringing:
    """One command's work on the stack of `settings`. `environ` is the user's environment."""

    settings: Settings
    catalogue: Catalogue
    environ: Mapping[str, str]
    phases: Phases
    _seconds: dict[str, float] = field(default_factory=dict)
    _writes: int = 0

    def up(self, *, refresh: bool = False) -> Outcome:
        """Bring everything about; with `refresh`, after reading what the servers have.

        Raises ForgelineError with what failed; what is complete stays, and the next run goes on from there.
        """
        with only_run(self.settings):
            with self._phase("Checks") as progress:
                check_machine(self.settings, self.environ, progress)
            tools = self.tools()
            stacks = desired.stacks(self.settings, self.catalogue, tools, self.environ)
            plans: list[Plan] = []
            with self._session(tools) as (session, current):
                with self._phase("Servers") as current.progress:
                    plans += session.apply([s for s in stacks if s.layer is Layer.FOUNDATION], refresh=refresh)
                with self._phase("Platform and services") as current.progress:
                    plans += session.apply([s for s in stacks if s.layer is not Layer.FOUNDATION], refresh=refresh)
                    self._wait_ready(tools, current)
            return Outcome(plans=tuple(plans), writes=self._writes, phases=self._seconds)

    def preview(self) -> list[Plan]:
        """What `up` would do, stack by stack. Changes nothing on any server."""
        tools = self.tools()
        stacks = desired.stacks(self.settings, self.catalogue, tools, self.environ)
        with self._session(tools) as (session, current), self._phase("Preview") as current.progress:
            return session.preview(stacks)

    def refresh(self) -> list[Plan]:
        """Take what the servers have into the states."""
        with only_run(self.settings):
            tools = self.tools()
            stacks = desired.stacks(self.settings, self.catalogue, tools, self.environ)
            with self._session(tools) as (session, current), self._phase("Refresh") as current.progress:
                return session.refresh(self._existing(session, stacks))

    def drift(self) -> list[Drift]:
        """What was changed on the servers since the last run."""
        with self._session({}) as (session, current), self._phase("Drift") as current.progress:
            return session.drift()

    def down(self) -> bool:
        """Stop every process, keep the data. Returns whether anything ran."""
        supervisor = Supervisor(self.settings.state)
        if not supervisor.present():
            return False
        with self._phase("Stopping") as progress:
            progress.start("servers", "waiting for them to end")
            supervisor.shutdown()
            progress.done("servers", "stopped, data kept")
        return True

    def destroy(self) -> None:
        """Stop everything and remove servers, repositories, artifacts and secrets. Tools stay cached.

        Only what Forgeline makes is removed from the state folder: it may have been set to a folder with more in it.
        """
        if not self.settings.state.is_dir():
            return
        with only_run(self.settings):
            self.down()
            with self._phase("Removing") as progress:
                for name in MADE:
                    progress.start(name, "removing")
                    path = self.settings.state / name
                    if path.is_dir():
                        shutil.rmtree(path)
                    else:
                        path.unlink(missing_ok=True)
                    progress.done(name, "removed")
        if not any(self.settings.state.iterdir()):
            self.settings.state.rmdir()

    @contextmanager
    def _phase(self, title: str) -> Iterator[Progress]:
        began = time.monotonic()
        with self.phases.phase(title) as progress:
            yield progress
        self._seconds[title] = time.monotonic() - began

    def tools(self) -> Mapping[str, InstalledTool]:
        """The tools of the lab, got where they are missing. Raises ToolError for one that can't be had."""
        with self._phase("Tools") as progress:
            return Toolchain.of(self.settings, self.environ).ensure(LAB_TOOLS, progress)

    @contextmanager
    def _session(self, tools: Mapping[str, InstalledTool]) -> Iterator[tuple[Session, _Current]]:
        current = _Current()
        connections = Connections.of(
            self.settings,
            servers=desired.servers(self.settings, tools) if tools else (),
            progress=current,
            observe=self._observe,
        )

        def engine() -> Path:
            return tools["pulumi"].path

        with Session(self.settings, engine=engine, connections=connections, progress=current) as session:
            yield session, current

    def _observe(self, verb: str, path: str, _status: int) -> None:
        self._writes += writes(verb, path)

    def _wait_ready(self, tools: Mapping[str, InstalledTool], progress: Progress) -> None:
        processes = Processes.of(self.settings, progress=progress, observe=self._observe)
        for server in desired.servers(self.settings, tools):
            processes.wait(server)

    @staticmethod
    def _existing(session: Session, stacks: list[Stack]) -> list[Stack]:
        return [stack for stack in stacks if session.checkpoints.exists(stack.name)]


class _Current:
    """Progress that goes to the phase of the moment."""

    def __init__(self) -> None:
        self.progress: Progress

    def start(self, item: str, doing: str) -> None:
        self.progress.start(item, doing)

    def done(self, item: str, outcome: str) -> None:
        self.progress.done(item, outcome)

    def failed(self, item: str, reason: str) -> None:
        self.progress.failed(item, reason)


def check_machine(settings: Settings, environ: Mapping[str, str], progress: Progress) -> None:
    """The doctor's checks; what can be installed without a question is. Raises ServerError for what stops the work."""
    checks = [_installed(check, environ, progress) for check in examine(settings, environ)]
    for check in checks:
        if check.verdict is Verdict.WARNING:
            progress.done(check.name, f"warning: {check.found}; to mend it: {check.fix}")
    missing = [check for check in checks if check.verdict is Verdict.MISSING]
    if missing:
        first, *others = missing
        raise ServerError(
            first.found,
            where=first.name,
            fix=first.fix,
            detail="\n".join(f"{check.name}: {check.found} (fix: {check.fix})" for check in others),
        )
    progress.done("this machine", f"{sum(c.verdict is Verdict.FINE for c in checks)} of {len(checks)} checks are fine")


def _installed(check: Check, environ: Mapping[str, str], progress: Progress) -> Check:
    """The check after its remedy, where that is a command that may be run without a password."""
    if not check.install:
        return check
    prefix = may_install()
    if prefix is None:
        return check
    progress.start(check.name, " ".join(check.install))
    for command in (("apt-get", "update"), check.install):
        subprocess.run([*prefix, *command], capture_output=True, check=False)
    again = java(environ)
    if again.verdict is Verdict.FINE:
        progress.done(check.name, f"{again.found}, installed")
    return again
