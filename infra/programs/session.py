"""One run over the stacks: previews, brings about and removes, with an engine only for what changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from infra.clients.bootstrap import derive, ensure_key, read_key
from infra.core.candidate import Verdict
from infra.core.error import ForgelineError, StackError
from infra.core.progress import Progress
from infra.core.settings import Settings
from infra.programs.checkpoint import Checkpoints
from infra.programs.drift import drift
from infra.programs.gate import Gates, GateShutError
from infra.programs.plan import Adoption, Drift, Plan, urn_type
from infra.programs.stack import Layer, Ledger, Stack
from infra.provider.connection import Connections
from infra.provider.docker.container import CONTAINER
from infra.provider.docker.container_input import Container
from infra.provider.lab.process import PROCESS, Process

if TYPE_CHECKING:
    from infra.programs.engine import Engine
    from infra.provider.provider import ForgelineProvider

Item = TypeVar("Item", Stack, str)
Result = TypeVar("Result")

CONCURRENCY = 10
"""Engines side by side: while Nexus starts, most of them wait."""

ADOPTING = 3
"""Engines side by side where none of them waits for a server: more are slower (see docs/pulumi.md)."""

PASSPHRASE = "pulumi-passphrase"  # noqa: S105 - the purpose under which it is derived, not a secret


class Session:
    """The provider and the engine of one command; both are started when first needed, and end with `with`."""

    def __init__(
        self, settings: Settings, *, engine: Callable[[], Path], connections: Connections, progress: Progress
    ) -> None:
        """`engine` gives the path of the Pulumi binary; it is asked only when an engine has to run."""
        self._settings = settings
        self._binary = engine
        self._connections = connections
        self._progress = progress
        self._folder = settings.data("pulumi")
        self._ledger = Ledger(self._folder / "digests")
        self.checkpoints = Checkpoints(self._folder)
        self._open = ExitStack()
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._engines: list[Engine] = []
        self._interrupted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._open.close()

    def engine(self) -> Engine:
        """The engine, with the provider that serves all stacks of this run."""
        with self._lock:
            if self._engine is None:
                from infra.provider.careful import provider_of

                self._engine = self._started(provider_of(self._settings, self._connections))
            return self._engine

    def _started(self, provider: ForgelineProvider) -> Engine:
        from infra.programs.engine import Engine
        from infra.programs.quiet import quiet_leftovers
        from infra.provider.server import ProviderServer

        ensure_key(self._settings.bootstrap_key)
        quiet_leftovers()
        server = self._open.enter_context(ProviderServer(provider))
        engine = Engine(
            binary=self._binary(),
            folder=self._folder,
            passphrase=derive(read_key(self._settings.bootstrap_key), PASSPHRASE),
            provider_port=server.port,
            progress=self._progress,
        )
        self._engines.append(engine)
        if self._interrupted:
            engine.interrupt()
        return engine

    def _interrupt(self) -> None:
        """Asks the engines to stop, and one that is only just being started too."""
        self._interrupted = True
        with self._lock:
            for engine in self._engines:
                engine.interrupt()

    def preview(self, stacks: Sequence[Stack]) -> list[Plan]:
        """What `apply` would do. Asks no server: the state is compared with what is declared. Leaves nothing behind."""
        try:
            return self._side_by_side(stacks, lambda stack: self._unless_unchanged(stack, self.engine().preview))
        finally:
            self._leave_nothing(stacks)

    def _leave_nothing(self, stacks: Sequence[Stack]) -> None:
        """Takes away the empty states that looking at new stacks leaves."""
        for stack in stacks:
            if self.checkpoints.drop_empty(stack.name):
                (self._folder / "work" / f"Pulumi.{stack.name}.yaml").unlink(missing_ok=True)

    def apply(self, stacks: Sequence[Stack], *, refresh: bool = False, concurrency: int = CONCURRENCY) -> list[Plan]:
        """Brings the stacks about: the foundation first, then the platform with the services beside it.

        A stack whose inputs and code are those of its last full run is left alone, unless `refresh` asks for a look at
        the servers first. Raises StackError for the first stack that failed, with the others' failures as its detail.
        """
        foundation = [stack for stack in stacks if stack.layer is Layer.FOUNDATION]
        rest = [stack for stack in stacks if stack.layer is not Layer.FOUNDATION]
        for stack in foundation:
            self._resume(stack.name)
        plans = self._side_by_side(foundation, lambda stack: self._up(stack, refresh=refresh), concurrency)
        gates = Gates(opened=not any(stack.layer is Layer.PLATFORM and self._to_do(stack, refresh) for stack in rest))
        gated = [replace(stack, gates=gates) for stack in sorted(rest, key=lambda stack: stack.layer)]
        plans += self._side_by_side(gated, lambda stack: self._up_gated(stack, refresh), concurrency + 1, gates)
        if rest:
            self._connections.settle()
        return plans

    def check_theirs(self, stacks: Sequence[Stack]) -> None:
        """Raises BadInputError, with every name, where others have on a server what the stacks are about to make.

        Reads only; looks at those stacks that have something to do.
        """
        from infra.provider.careful import refused
        from infra.provider.made import Made

        wanted, made = [stack for stack in stacks if self._to_do(stack, refresh=False)], Made.of(self._settings)
        if not wanted:
            return
        try:
            found = [one for adoption in self._looked_for(wanted) for one in adoption.candidates]
        finally:
            self._leave_nothing(wanted)
        there = [(urn_type(one.urn), one.id) for one in found if one.verdict is not Verdict.MISSING]
        theirs = [one for one in there if not made.covers(*one)]
        if theirs:
            raise refused(theirs)

    def _looked_for(
        self, stacks: Sequence[Stack], then: Callable[[Engine, Adoption], None] = lambda _engine, _adoption: None
    ) -> list[Adoption]:
        """What the servers have of what the stacks declare and their states do not know; `then` is done with each."""
        from infra.programs.adoption import plan_adoption
        from infra.provider.adoption import AdoptingProvider

        provider = AdoptingProvider(self._connections)
        engine = self._started(provider)

        def one(stack: Stack) -> Adoption:
            self._progress.start(stack.name, "looking for what is there")
            adoption = plan_adoption(engine, provider, stack)
            then(engine, adoption)
            self._progress.done(stack.name, adoption.told)
            return adoption

        return self._side_by_side(stacks, one, ADOPTING)

    def refresh(self, stacks: Sequence[Stack]) -> list[Plan]:
        """Takes what the servers have into the states."""
        return self._side_by_side(stacks, lambda stack: self._begun(stack, self.engine().refresh))

    def adopt(self, stacks: Sequence[Stack], *, different: bool = False, dry_run: bool = False) -> list[Adoption]:
        """Takes what is on the servers into the states: what is as declared and, with `different`, what is not.

        Nothing is changed on a server. Raises StackError where a server can't be read: then that stack's state is as it
        was.
        """
        from infra.programs.adoption import adopt

        for stack in stacks:
            self._ledger.begin(stack.name)
        if dry_run:
            return self._looked_for(stacks)
        return self._looked_for(stacks, lambda engine, adoption: adopt(engine, adoption, different=different))

    def destroy(self, names: Iterable[str] | None = None) -> list[Plan]:
        """Removes the stacks, all or those named: services, then the platform, then the foundation."""
        existing = set(self.checkpoints.names())
        wanted = existing if names is None else existing & set(names)
        layers = ([name for name in sorted(wanted) if _layer(name) is layer] for layer in sorted(Layer, reverse=True))
        plans: list[Plan] = []
        for layer in layers:
            plans += self._side_by_side(layer, self._destroy)
        return plans

    def drift(self, stacks: Iterable[str] | None = None) -> list[Drift]:
        """What the servers have against what the states say; starts no engine."""
        return drift(self.checkpoints, self._connections, stacks, progress=self._progress)

    def _destroy(self, name: str) -> Plan:
        self._ledger.begin(name)
        self._progress.start(name, "removing")
        plan = self.engine().destroy(name)
        self._progress.done(name, "removed")
        return plan

    def _to_do(self, stack: Stack, refresh: bool) -> bool:
        return refresh or not (self._ledger.holds(stack) and self.checkpoints.exists(stack.name))

    def _resume(self, name: str) -> None:
        """Starts the servers that were stopped: there is something to do though nothing was changed."""
        for recorded in self.checkpoints.resources(name):
            if recorded.type == PROCESS.type_name:
                process = Process.model_validate(recorded.inputs)
                found = PROCESS.read(self._connections, process)
                if found is None or not found.fields["running"]:
                    self._progress.start(process.name, "starting again")
                    PROCESS.create(self._connections, process)
            elif recorded.type == CONTAINER.type_name:
                from infra.provider.provider import bring_about

                container = Container.model_validate(recorded.inputs)
                if not self._connections.containers().running(container.name):
                    self._progress.start(container.name, "starting again")
                    bring_about(CONTAINER, self._connections, container)

    def _unless_unchanged(self, stack: Stack, work: Callable[[Stack], Plan]) -> Plan:
        if not self._to_do(stack, refresh=False):
            return Plan(stack=stack.name, skipped=True)
        if not self.checkpoints.exists(stack.name):
            # The engine makes an empty state, which a digest from before the state was lost must not vouch for.
            self._ledger.begin(stack.name)
        return work(stack)

    def _begun(self, stack: Stack, work: Callable[[Stack], Plan]) -> Plan:
        self._ledger.begin(stack.name)
        return work(stack)

    def _up_gated(self, stack: Stack, refresh: bool) -> Plan:
        try:
            if stack.waits_for is not None and self._to_do(stack, refresh):
                stack.gates[stack.waits_for].wait()
            plan = self._up(stack, refresh=refresh)
        except BaseException:
            if stack.layer is Layer.PLATFORM:
                stack.gates.shut("the platform is not ready")
            raise
        if stack.layer is Layer.PLATFORM:
            stack.gates.shut("the platform did not say that it is ready")
        return plan

    def _up(self, stack: Stack, *, refresh: bool) -> Plan:
        if not self._to_do(stack, refresh):
            self._progress.done(stack.name, "nothing to change")
            return Plan(stack=stack.name, skipped=True)
        self._progress.start(stack.name, "comparing")
        try:
            plan = self._begun(stack, lambda it: self.engine().up(it, refresh=refresh))
        except ForgelineError as error:
            # Of a program that ended at a gate the engine only tells that it failed.
            reason = stack.gates.failure
            at_gate = GateShutError(reason, where=stack.name) if reason and reason in str(error) else None
            self._progress.failed(stack.name, at_gate.what if at_gate else error.what)
            if at_gate:
                raise at_gate from error
            raise
        self._ledger.complete(stack)
        self._progress.done(stack.name, f"{len(plan.changes)} changed" if plan.changes else "nothing to change")
        return plan

    def _side_by_side(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Result],
        concurrency: int = CONCURRENCY,
        gates: Gates | None = None,
    ) -> list[Result]:
        """The results in the order of the items. On Ctrl-C the engines are asked to stop, and waited for."""
        if not items:
            return []
        with ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="stack") as pool:
            futures: list[Future[Result]] = []
            try:
                # Ctrl-C may come as soon as the first of them is at work.
                for item in items:
                    futures.append(pool.submit(work, item))
                _wait(futures)
            except BaseException:
                for future in futures:
                    future.cancel()
                if gates is not None:
                    gates.shut("the run was interrupted")
                self._interrupt()
                raise
        return _results(futures)


def _wait(futures: Sequence[Future[Result]]) -> None:
    """Returns when all are done; in short steps, so that Ctrl-C is seen at once."""
    left = set(futures)
    while left:
        _, left = wait(left, timeout=0.5, return_when=FIRST_COMPLETED)


def _results(futures: Sequence[Future[Result]]) -> list[Result]:
    errors = [error for future in futures if (error := future.exception()) is not None]
    if not errors:
        return [future.result() for future in futures]
    known = [error for error in errors if isinstance(error, ForgelineError)]
    if len(known) < len(errors):
        raise next(error for error in errors if not isinstance(error, ForgelineError))
    # What failed only because another stack did has nothing to tell beside that.
    first, *others = [error for error in known if not isinstance(error, GateShutError)] or known[:1]
    if not others:
        raise first
    more = "\n".join(str(error) for error in others)
    raise StackError(first.what, where=first.where, fix=first.fix, detail=f"{first.detail}\n{more}".strip()) from first


def _layer(name: str) -> Layer:
    return {"foundation": Layer.FOUNDATION, "platform": Layer.PLATFORM}.get(name, Layer.SERVICE)
