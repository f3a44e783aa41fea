"""Pulumi's engine, one stack at a time: preview, up, refresh, destroy, with one call of the binary each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pulumi.automation import (
    LocalWorkspace,
    OnEvent,
    OutputMap,
    ProjectRuntimeInfo,
    ProjectSettings,
    PulumiFn,
    UpdateSummary,
)
from pulumi.automation import Stack as AutomationStack
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import CommandError
from pulumi.automation.events import EngineEvent

from infra.core.error import StackError
from infra.core.progress import Progress
from infra.core.secret import SecretValue
from infra.programs.checkpoint import Checkpoints
from infra.programs.command import EngineCommand
from infra.programs.event import Watcher, plain
from infra.programs.language_host import language_host
from infra.programs.plan import Plan, urn_name, urn_type
from infra.programs.stack import PROJECT, Stack

PARALLEL = 64
"""Resources of a stack that are worked on side by side: some only wait for Nexus and keep nobody from work."""

LOCK_PATIENCE = 15.0
"""Seconds to wait for another engine that is still at work on the stack."""


class _Workspace(LocalWorkspace):
    """A workspace that spends no call of the binary on selecting: every call names its stack."""

    def select_stack(self, stack_name: str) -> None:
        """Nothing is selected."""


class _Stack(AutomationStack):
    """A stack that does not ask for outputs and history after an update: two calls of the binary that nobody reads."""

    def outputs(self) -> OutputMap:
        """None are asked for."""
        return {}

    def info(self, show_secrets: bool = True) -> UpdateSummary:  # noqa: ARG002 - the SDK's signature
        """A placeholder that the SDK insists on."""
        return UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")


class Engine:
    """Runs stacks against a file backend in `folder`, with the provider that listens on `provider_port`."""

    def __init__(
        self, *, binary: Path, folder: Path, passphrase: SecretValue, provider_port: int, progress: Progress
    ) -> None:
        self._command = EngineCommand(binary)
        self._folder = folder
        self._progress = progress
        self.checkpoints = Checkpoints(folder)
        self._environment = {
            "PULUMI_BACKEND_URL": folder.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": passphrase.reveal(),
            "PULUMI_DEBUG_PROVIDERS": f"forgeline:{provider_port}",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
            # The state is written at an update's end, not at each of its steps (a third of an update's processor time).
            # A kill then loses the record of what was made, which does no harm: every create adopts what is there, and
            # the ledger knows that the stack was not finished.
            "PULUMI_EXPERIMENTAL": "true",
            "PULUMI_SKIP_CHECKPOINTS": "true",
        }

    def preview(self, stack: Stack, *, tell: OnEvent = lambda _: None) -> Plan:
        """What `up` would do; `tell` gets the events. Writes nothing but an empty state for a stack that is new."""

        def work(target: _Stack, watch: Watcher) -> None:
            def both(event: EngineEvent) -> None:
                watch(event)
                tell(event)

            target.preview(on_event=both, color="never")

        return self._run(stack, work)

    def import_file(self, name: str, document: Mapping[str, Any]) -> None:
        """Takes what the provider reads into the state. `document` is what `pulumi import --file` reads."""

        def work(_target: _Stack, _watch: Watcher) -> None:
            # The command wants a language host though no program is run; one of another runtime would be a tool more.
            with language_host(lambda: None) as address, TemporaryDirectory(prefix="forgeline-import-") as folder:
                runtime = ProjectRuntimeInfo("client", {"address": address})
                project = LocalWorkspace(work_dir=folder, pulumi_command=self._command)
                project.save_project_settings(ProjectSettings(name=PROJECT, runtime=runtime))
                file = Path(folder) / "import.json"
                file.write_text(json.dumps(document), encoding="utf-8")
                settings = self._folder / "work" / f"Pulumi.{name}.yaml"
                options = ("--yes", "--skip-preview", "--protect=false", "--generate-code=false")
                arguments = ["import", f"--file={file}", f"--stack={name}", f"--config-file={settings}", *options]
                self._command.run(arguments, folder, {**self._environment, "PULUMI_HOME": str(self._folder / "home")})

        self._guarded(name, None, work)

    def up(self, stack: Stack, *, refresh: bool = False) -> Plan:
        """Brings the stack about; with `refresh`, after reading what the servers have."""
        self._settle(stack)
        return self._run(
            stack,
            lambda target, watch: target.up(
                parallel=PARALLEL, on_event=watch, color="never", refresh=refresh or None, suppress_outputs=True
            ),
        )

    def refresh(self, stack: Stack) -> Plan:
        """Takes what the servers have into the state."""
        return self._run(
            stack, lambda target, watch: target.refresh(on_event=watch, color="never", clear_pending_creates=True)
        )

    def destroy(self, name: str) -> Plan:
        """Removes what the stack made, and the stack itself. Fine with a stack that is not there."""
        if not self.checkpoints.exists(name):
            return Plan(stack=name)
        return self._guarded(name, None, self._remove)

    def _remove(self, target: _Stack, watch: Watcher) -> None:
        target.destroy(on_event=watch, color="never", remove=True)

    def interrupt(self) -> None:
        """Asks every running engine to stop cleanly."""
        self._command.interrupt()

    def _settle(self, stack: Stack) -> None:
        """Drops operations that a kill left open: `create` adopts what they may have made."""
        if self.checkpoints.has_pending(stack.name):
            self._progress.start(stack.name, "reading back what an interrupted run left")
            self.refresh(stack)

    def _run(self, stack: Stack, work: Callable[[_Stack, Watcher], Any]) -> Plan:
        return self._guarded(stack.name, lambda: stack.program(stack.gates), work)

    def _guarded(self, name: str, program: PulumiFn | None, work: Callable[[_Stack, Watcher], Any]) -> Plan:
        self._unlock(name)
        if self.checkpoints.set_aside_torn(name):
            self._progress.start(name, "making the state anew: a kill left it half written")
        watcher = Watcher(name, self._progress)
        try:
            work(self._open(name, program), watcher)
        except CommandError as error:
            raise _failure(name, watcher, str(error)) from error
        return Plan(stack=name, changes=tuple(sorted(watcher.changes)))

    def _open(self, name: str, program: PulumiFn | None) -> _Stack:
        home, work = self._folder / "home", self._folder / "work"
        for folder in (home, work):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        workspace = _Workspace(
            work_dir=str(work),
            pulumi_home=str(home),
            program=program,
            env_vars=self._environment,
            secrets_provider="passphrase",
            pulumi_command=self._command,
        )
        if not (work / "Pulumi.yaml").exists():
            workspace.save_project_settings(ProjectSettings(name=PROJECT, runtime="python"))
        if not self.checkpoints.exists(name):
            workspace.create_stack(name)
        return _Stack(name, workspace, StackInitMode.SELECT)

    def _unlock(self, name: str) -> None:
        deadline = time.monotonic() + LOCK_PATIENCE
        while (holder := self.checkpoints.break_stale_locks(name)) is not None:
            if time.monotonic() > deadline:
                raise StackError(
                    f"another run is at work on it (process {holder})",
                    where=name,
                    fix="wait until it has ended, or end it, then run this again",
                )
            time.sleep(0.25)


def _failure(name: str, watcher: Watcher, output: str) -> StackError:
    """The failing resources' own messages; the engine's last lines only where no resource is to blame."""
    if watcher.failures:
        first = watcher.failures[0]
        rest = [f"{urn_name(other.urn)}: {other.message}" for other in watcher.failures[1:] if other != first]
        message, _, fix = first.message.rpartition("\nfix: ")
        what = message or first.message
        return StackError(
            what,
            where=f"{name}: {urn_type(first.urn)} {urn_name(first.urn)}",
            fix=fix if message else "",
            detail="\n".join(rest),
        )
    lines = [plain(line) for line in (watcher.messages or output.splitlines()) if line.strip()]
    return StackError("the engine failed", where=name, detail="\n".join(lines[-8:]))
