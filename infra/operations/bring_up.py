"""The whole way from a checkout to a running stack, and what stands beside it: preview, drift, down, destroy."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra.clients.container import Containers
from infra.clients.container_engine import ContainerEngine
from infra.clients.supervisor import Supervisor
from infra.core.error import ServerError
from infra.core.progress import Progress
from infra.core.settings import Placement, Settings
from infra.operations import desired
from infra.operations.check import Verdict
from infra.operations.doctor import examine, java
from infra.operations.proof import prove
from infra.operations.published import GitLabReleases
from infra.operations.release import check_pins, decide, is_new
from infra.operations.remedy import mended
from infra.operations.rollout_record import FILE as ROLLOUT_RECORD
from infra.operations.run_lock import only_run
from infra.operations.work import Open, Work
from infra.programs import platform
from infra.programs.checkpoint import Checkpoints
from infra.programs.plan import Drift, Plan
from infra.programs.session import Session
from infra.programs.stack import Layer, Stack
from pipelines.source import Source

PROVEN = "proven"
"""A file in the state folder that is there when the stack, as it is, did once what it is there for."""

MADE = (
    PROVEN,
    "deployments",
    "runner",
    "gitlab",
    "nexus",
    "openbao",
    "supervisor",
    "operations",
    "pulumi",
    "tls",
    ROLLOUT_RECORD,
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


class Bringing(Work):
    """The stack as a whole."""

    def up(self, *, refresh: bool = False, build: bool = True) -> Outcome:
        """Bring everything about; with `refresh`, after reading what the servers have.

        Where the servers are containers, images that are missing, or no longer what this checkout makes, are built, or
        without `build` taken as the engine has them. Raises ForgelineError with what failed; what is complete stays,
        and the next run goes on from there.
        """
        with only_run(self.settings):
            with self.phase("Checks") as progress:
                check_machine(self.settings, self.environ, progress, self.catalogue.services)
            self._check_pins()
            tools = self.tools()
            images = self._built() if build else None
            stacks = desired.stacks(self.settings, self.catalogue, tools, self.environ, images=images)
            plans: list[Plan] = []
            with self.session(tools) as opened:
                if self.settings.existing:
                    with self.phase("What is there") as opened.current.progress:
                        opened.session.check_theirs(stacks)
                else:
                    with self.phase("Servers") as opened.current.progress:
                        foundation = [stack for stack in stacks if stack.layer is Layer.FOUNDATION]
                        plans += opened.session.apply(foundation, refresh=refresh)
                with self.phase("Platform and services") as opened.current.progress:
                    self._check_release(opened, stacks)
                    plans += opened.session.apply(
                        [s for s in stacks if s.layer is not Layer.FOUNDATION], refresh=refresh
                    )
                    self._wait_ready(opened)
                self._prove(opened, changed=any(plan.changes for plan in plans))
            return Outcome(plans=tuple(plans), writes=self.writes, phases=self.seconds)

    def preview(self) -> list[Plan]:
        """What `up` would do, stack by stack. Changes nothing on any server.

        Of servers that others run, what is there already is looked at: raises BadInputError as `up` would.
        """
        self._check_pins()
        tools = self.tools()
        plans, images = self._to_build()
        stacks = desired.stacks(self.settings, self.catalogue, tools, self.environ, images=images)
        with self.session(tools) as opened, self.phase("Preview") as opened.current.progress:
            if self.settings.existing:
                opened.session.check_theirs(stacks)
            return plans + opened.session.preview(stacks)

    def refresh(self) -> list[Plan]:
        """Take what the servers have into the states."""
        with only_run(self.settings):
            tools = self.tools()
            stacks = desired.stacks(self.settings, self.catalogue, tools, self.environ)
            with self.session(tools) as opened, self.phase("Refresh") as opened.current.progress:
                return opened.session.refresh(self._existing(opened.session, stacks))

    def drift(self) -> list[Drift]:
        """What was changed on the servers since the last run."""
        with self.session({}) as opened, self.phase("Drift") as opened.current.progress:
            return opened.session.drift()

    def down(self) -> bool:
        """Stop every server, keep the data. Returns whether anything ran."""
        if self.settings.profile.placement is Placement.DOCKER:
            with self.phase("Stopping") as progress, self._containers(progress) as containers:
                return containers.stop()
        supervisor = Supervisor(self.settings.state)
        if not supervisor.present():
            return False
        with self.phase("Stopping") as progress:
            progress.start("servers", "waiting for them to end")
            supervisor.shutdown()
            progress.done("servers", "stopped, data kept")
        return True

    def destroy(self) -> None:
        """Stop everything and remove servers, repositories, artifacts and secrets. Tools stay cached.

        Only what Forgeline makes is removed from the state folder: it may have been set to a folder with more in it.
        On servers that others run, what was made there is removed first; raises StackError where that is refused.
        """
        if not self.settings.state.is_dir():
            return
        with only_run(self.settings):
            if self.settings.existing:
                tools = self.tools()
                with self.session(tools) as opened, self.phase("Servers") as opened.current.progress:
                    opened.session.destroy()
            self.down()
            with self.phase("Removing") as progress:
                if self.settings.profile.placement is Placement.DOCKER:
                    progress.start("containers", "removing them, their network and their volumes")
                    with self._containers(progress) as containers:
                        containers.remove()
                    progress.done("containers", "removed")
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

    def _built(self) -> Mapping[str, str] | None:
        """The ids of the containers' images, all built; None where the servers are no containers."""
        if self.settings.profile.placement is not Placement.DOCKER:
            return None
        # As in `desired`: the lab does without.
        from infra.operations import docker_profile

        return docker_profile.build(self.settings, self.environ, self)

    def _to_build(self) -> tuple[list[Plan], Mapping[str, str] | None]:
        """What `_built` would do, and what it would return as far as that is known."""
        if self.settings.profile.placement is not Placement.DOCKER:
            return [], None
        from infra.operations import docker_profile

        plan, images = docker_profile.preview(self.settings, self.environ)
        return [plan], images

    @contextmanager
    def _containers(self, progress: Progress) -> Iterator[Containers]:
        engine = ContainerEngine.of(self.environ)
        try:
            yield Containers.of(self.settings, engine, progress=progress)
        finally:
            engine.close()

    def _check_pins(self) -> None:
        """On servers that are yet to be made, only the release of this checkout can be had."""
        if not Checkpoints(self.settings.data("pulumi")).exists(platform.NAME):
            check_pins(self.settings, self.catalogue, None)

    def _check_release(self, opened: Open, stacks: list[Stack]) -> None:
        """What `forgeline pipelines release` would refuse is refused here too: it is published in the same way."""

        def releases() -> GitLabReleases:
            return GitLabReleases(opened.connections.gitlab())

        check_pins(self.settings, self.catalogue, releases)
        files = next(stack.inputs.pipeline_files for stack in stacks if stack.layer is Layer.PLATFORM)
        if is_new(self.settings, self.catalogue.release, files):
            # As in `Releasing.run`: an `up` that publishes nothing loads no rules.
            from pipelines.check import check_pipelines

            source = Source.of(self.settings, self.catalogue)
            decide(source, releases(), check_pipelines, file=self.settings.release_file)

    def _prove(self, opened: Open, *, changed: bool) -> None:
        """Proves containers by real use after a change, and until it once went well.

        In the lab the first pipelines, which follow within seconds, prove the same.
        """
        if self.settings.profile.placement is not Placement.DOCKER:
            return
        proven = self.settings.state / PROVEN
        if changed:
            proven.unlink(missing_ok=True)
        if not proven.is_file():
            with self.phase("Proof") as opened.current.progress:
                prove(opened, self.catalogue, opened.current.progress)
            proven.touch()

    def _wait_ready(self, opened: Open) -> None:
        for server in desired.servers(self.settings, opened.tools):
            opened.connections.wait(server, self.settings.profile.placement)

    @staticmethod
    def _existing(session: Session, stacks: list[Stack]) -> list[Stack]:
        return [stack for stack in stacks if session.checkpoints.exists(stack.name)]


def check_machine(
    settings: Settings, environ: Mapping[str, str], progress: Progress, services: Iterable[str] = ()
) -> None:
    """The doctor's checks; what can be installed without a question is. Raises ServerError for what stops the work."""
    checks = [mended(check, lambda: java(environ), progress) for check in examine(settings, environ, services)]
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
    subject = "servers" if settings.existing else "this machine"
    progress.done(subject, f"{sum(c.verdict is Verdict.FINE for c in checks)} of {len(checks)} checks are fine")
