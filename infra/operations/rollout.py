"""Rolls a pipeline release out: wave by wave, halting on red, finished by running again, taken back by its record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra.clients.gitlab import NoAnswerError
from infra.core.error import BadInputError, ServerError
from infra.operations.fleet import Fleet, LiveFleet
from infra.operations.pipeline_run import PipelineRun
from infra.operations.published import GitLabReleases, Releases
from infra.operations.release import wrong_with
from infra.operations.rollout_record import Moved, Progressed, Record, RecordFile
from infra.operations.run_lock import only_run
from infra.operations.status import gitlab_client
from infra.operations.work import Work
from infra.programs.checkpoint import Checkpoints
from infra.programs.plan import Change
from infra.programs.released import released
from pipelines.catalogue import Catalogue
from pipelines.release import is_version
from pipelines.source import Source
from pipelines.wave import Move, RolloutPlan, Stay, plan_rollout

BACK = "rollback"
"""The one wave of a roll-out that is taken back."""


@dataclass(frozen=True, kw_only=True)
class Halt:
    """Why a roll-out stopped: the first service that is red, its job, and the last lines of that job's log."""

    service: str
    wave: str
    reason: str
    web_url: str
    job: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RolloutResult:
    """What a roll-out did, or with a dry run would do. `runs` are the pipelines as they ended."""

    plan: RolloutPlan
    dry_run: bool
    changes: tuple[Change, ...] = ()
    runs: tuple[PipelineRun, ...] = ()
    halt: Halt | None = None

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the plan and what became of it."""
        return {
            **self.plan.as_json(),
            "dry_run": self.dry_run,
            "changes": [vars(change) for change in self.changes],
            "pipelines": [run.as_json() for run in self.runs],
            "halted": vars(self.halt) if self.halt else None,
        }


@dataclass(frozen=True, kw_only=True)
class _Watch:
    """What is kept of a service while its pipeline runs, and when that has ended green or not."""

    running: Progressed
    green: Progressed
    red: Progressed


_FORTH = _Watch(running=Progressed.RUNNING, green=Progressed.GREEN, red=Progressed.RED)
_BACK = _Watch(running=Progressed.RETURNED, green=Progressed.BACK, red=Progressed.RETURNED)


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A roll-out of one version over the services of a catalogue."""

    version: str
    catalogue: Catalogue
    fleet: Fleet
    file: RecordFile

    def plan(self, *, waves: Sequence[str] = (), services: Sequence[str] = ()) -> RolloutPlan:
        """What is to be done.

        Raises BadInputError while another version's roll-out is not finished, or a part of this one that is left out.
        """
        record = self.file.read()
        if record is not None and record.version != self.version and record.unfinished:
            command = f"`forgeline pipelines rollout {record.version}`"
            raise BadInputError(
                f"the roll-out of {record.version} is not finished: {', '.join(sorted(record.unfinished))}",
                fix=f"{command} goes on with it, and with --rollback takes it back",
            )
        begun = record.unfinished if record is not None and record.version == self.version else {}
        before = {name: moved.before for name, moved in begun.items()}
        plan = plan_rollout(self.catalogue, self.version, waves=waves, services=services, begun=before)
        if left_out := sorted(set(begun) - {move.service for move in plan.moves}):
            raise BadInputError(
                f"{', '.join(left_out)} of this roll-out is not green yet, and would be left out",
                fix=f"run `forgeline pipelines rollout {self.version}` first, which begins with what is not finished",
            )
        return plan

    def plan_back(self) -> RolloutPlan:
        """What is to be done to take the roll-out back. Raises BadInputError where there is none of this version."""
        record = self.file.read()
        if record is None or record.version != self.version:
            last = f"the last one was to {record.version}" if record else "there was none yet"
            raise BadInputError(f"there is no roll-out of {self.version} to be taken back: {last}")
        moves: list[Move] = []
        stays: list[Stay] = []
        for name, moved in sorted(record.services.items()):
            pin = self.catalogue.services[name].pipeline if name in self.catalogue.services else ""
            if moved.progress is Progressed.BACK:
                stays.append(Stay(service=name, pipeline=pin, reason="was taken back already"))
            elif pin not in {self.version, moved.before}:
                reason = f"was moved to {pin} since" if pin else "is no longer in the catalogue"
                stays.append(Stay(service=name, pipeline=pin, reason=reason))
            else:
                moves.append(Move(service=name, wave=BACK, before=self.version, after=moved.before))
        return RolloutPlan(version=self.version, moves=tuple(moves), stays=tuple(stays))

    def preview(self, plan: RolloutPlan) -> RolloutResult:
        """What carrying the plan out would change."""
        changes = self.fleet.preview(_pins(plan.moves)) if plan.moves else []
        return RolloutResult(plan=plan, dry_run=True, changes=tuple(changes))

    def carry_out(self, plan: RolloutPlan) -> RolloutResult:
        """Wave after wave, until one is not green."""
        changes: list[Change] = []
        runs: list[PipelineRun] = []
        halt: Halt | None = None
        for wave in plan.waves:
            moves = plan.of_wave(wave)
            self._note(moves)
            changes += self.fleet.bring(_pins(moves))
            ended, halt = self._watch(moves, f"Wave {wave}", _FORTH)
            runs += ended
            if halt is not None:
                break
        return RolloutResult(plan=plan, dry_run=False, changes=tuple(changes), runs=tuple(runs), halt=halt)

    def carry_back(self, plan: RolloutPlan) -> RolloutResult:
        """Every service of the plan returns to the release that it had; then a pipeline of each shows how it is there.

        A red one takes nothing back: the services have returned. The next `carry_back` looks at it again.
        """
        if not plan.moves:
            return RolloutResult(plan=plan, dry_run=False)
        changes = self.fleet.bring(_pins(plan.moves))
        record = self._record()
        for move in plan.moves:
            known = record.services[move.service]
            if known.progress is not Progressed.RETURNED:
                # The pipeline that is known is of the release that was left.
                returned = known.model_copy(update={"progress": Progressed.RETURNED, "pipeline": None})
                record = record.having(move.service, returned)
        self.file.write(record)
        runs, halt = self._watch(plan.moves, "Back", _BACK)
        return RolloutResult(plan=plan, dry_run=False, changes=tuple(changes), runs=tuple(runs), halt=halt)

    def _record(self) -> Record:
        """The record of this version; what a finished roll-out of another one left is not needed any more."""
        record = self.file.read()
        return record if record is not None and record.version == self.version else Record(version=self.version)

    def _note(self, moves: Iterable[Move]) -> None:
        """Keeps what is about to be moved before anything is: whatever happens then, it can be taken back."""
        record = self._record()
        for move in moves:
            known = record.services.get(move.service)
            if known is not None and known.progress is Progressed.RUNNING:
                continue
            moved = Moved(wave=move.wave, before=move.before, progress=Progressed.MOVING)
            record = record.having(move.service, moved)
        self.file.write(record)

    def _set(self, name: str, *, progress: Progressed, pipeline: int | None = None) -> None:
        record = self._record()
        known = record.services[name]
        number = known.pipeline if pipeline is None else pipeline
        self.file.write(record.having(name, known.model_copy(update={"progress": progress, "pipeline": number})))

    def _watch(self, moves: Sequence[Move], title: str, watch: _Watch) -> tuple[list[PipelineRun], Halt | None]:
        """The pipelines of the services as they ended, and the first that is not green."""
        started, halt = self._start(moves, watch)
        if halt is not None:
            return [], halt
        ended = self.fleet.follow(started, f"{title}: {len(started)} pipelines")
        return ended, self._end(moves, ended, watch)

    def _start(self, moves: Iterable[Move], watch: _Watch) -> tuple[list[PipelineRun], Halt | None]:
        """The pipelines of the services: those that an earlier run started and that may yet be green, or new ones."""
        started: list[PipelineRun] = []
        for move in moves:
            known = self._record().services[move.service]
            run = self.fleet.find(move.service, known.pipeline) if known.pipeline is not None else None
            if run is None or (run.ended and not run.green):
                try:
                    run = self.fleet.start(move.service)
                except NoAnswerError:
                    raise
                except ServerError as error:
                    self._set(move.service, progress=watch.red)
                    reason = f"its pipeline could not be started: {error.what}"
                    return started, Halt(service=move.service, wave=move.wave, reason=reason, web_url=error.where)
            self._set(move.service, progress=watch.running, pipeline=run.id)
            started.append(run)
        return started, None

    def _end(self, moves: Iterable[Move], ended: Iterable[PipelineRun], watch: _Watch) -> Halt | None:
        wave = {move.service: move.wave for move in moves}
        halts: list[Halt] = []
        for run in ended:
            self._set(run.service, progress=watch.green if run.green else watch.red)
            if not run.green:
                halts.append(self._halt(run, wave[run.service]))
        return halts[0] if halts else None

    def _halt(self, run: PipelineRun, wave: str) -> Halt:
        job = run.failed_job
        if job is None:
            reason = f"pipeline #{run.number} is {run.status}"
            return Halt(service=run.service, wave=wave, reason=reason, web_url=run.web_url)
        reason = f"job {job.name} failed ({job.failure_reason or 'script_failure'})"
        log = tuple(self.fleet.log(run.service, job))
        return Halt(service=run.service, wave=wave, reason=reason, web_url=job.web_url, job=job.name, log=log)


def check_releases(plan: RolloutPlan, releases: Releases, source: Source, recorded: Mapping[str, Any]) -> None:
    """Raises BadInputError where a release that services are to move to is not there, lacks a file, or was altered."""
    for version in sorted({move.after for move in plan.moves}):
        held = wrong_with(releases, version, recorded.get(version), source.files(version))
        if not held.files:
            known = ", ".join(releases.versions()) or "none"
            raise BadInputError(
                f"this GitLab has no pipeline release {version}; it has {known}",
                fix="`forgeline pipelines release` publishes the one that this checkout makes",
            )
        if held.wrong:
            raise BadInputError(
                f"release {version} in GitLab is not what was published",
                detail="\n".join(held.told),
                fix="publish a new version, and roll that out",
            )
        lacking = [move.service for move in plan.moves if f"{move.service}.yml" not in held.files]
        if lacking:
            raise BadInputError(f"release {version} has no pipeline of {', '.join(lacking)}", fix="release anew")


@dataclass(frozen=True, kw_only=True)
class RollingOut:
    """One `forgeline pipelines rollout`."""

    work: Work
    version: str
    timeout: float

    def run(
        self, *, waves: Sequence[str] = (), services: Sequence[str] = (), back: bool = False, dry_run: bool = False
    ) -> RolloutResult:
        """Roll out or, with `back`, return; with `dry_run` only tell what that would do.

        Raises BadInputError before anything is touched for what can't be done.
        """
        if not is_version(self.version):
            raise BadInputError(f"{self.version!r} is not a version", fix="write vX.Y.Z, such as v1.2.0")
        with only_run(self.work.settings), self._rollout() as rollout:
            plan = rollout.plan_back() if back else rollout.plan(waves=waves, services=services)
            self._check(plan)
            if dry_run:
                return rollout.preview(plan)
            return rollout.carry_back(plan) if back else rollout.carry_out(plan)

    def _check(self, plan: RolloutPlan) -> None:
        settings, catalogue = self.work.settings, self.work.catalogue
        with self.work.phase("Releases") as progress:
            progress.start(self.version, "reading what GitLab has")
            recorded = released(Checkpoints(settings.data("pulumi")))
            releases = GitLabReleases(gitlab_client(settings))
            check_releases(plan, releases, Source.of(settings, catalogue), recorded)
            progress.done(self.version, "is as it was published")

    @contextmanager
    def _rollout(self) -> Iterator[Rollout]:
        settings = self.work.settings
        tools = self.work.tools()
        with self.work.session(tools) as opened:
            fleet = LiveFleet(
                work=self.work, opened=opened, tools=tools, gitlab=gitlab_client(settings), timeout=self.timeout
            )
            yield Rollout(
                version=self.version, catalogue=self.work.catalogue, fleet=fleet, file=RecordFile.of(settings)
            )


def _pins(moves: Iterable[Move]) -> dict[str, str]:
    return {move.service: move.after for move in moves}
