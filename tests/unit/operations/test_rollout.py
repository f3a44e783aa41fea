"""A roll-out over services that are not there: waves, red, kills at every step, and the way back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from infra.core.error import BadInputError, ServerError
from infra.core.settings import load_settings
from infra.operations.fleet import write_pins
from infra.operations.pipeline_run import Job, PipelineRun, plain_lines
from infra.operations.rollout import Rollout, RolloutResult, check_releases
from infra.operations.rollout_record import Progressed, RecordFile
from infra.programs.plan import Change, Op
from pipelines.catalogue import CATALOG, RELEASE, Catalogue, load_catalogue
from pipelines.source import Source
from pipelines.wave import RolloutPlan

OLD, NEW = "v1.0.0", "v1.1.0"


class KilledError(BaseException):
    """The process ended here."""


@dataclass
class Fleet:
    """Services in files of a temporary folder, with servers and pipelines in memory.

    `red` are services whose pipelines fail; `killed_at` is the number of the call at which the process dies, half of
    them before the work of the call and half after it.
    """

    folder: Path
    red: set[str] = field(default_factory=set)
    killed_at: int | None = None
    refused: str = ""
    projects: dict[str, str] = field(default_factory=dict)
    started: dict[int, str] = field(default_factory=dict)
    ended: dict[int, PipelineRun] = field(default_factory=dict)
    calls: int = 0

    def _step(self) -> Iterator[None]:
        self.calls += 1
        if self.calls == self.killed_at:
            raise KilledError
        yield
        self.calls += 1
        if self.calls == self.killed_at:
            raise KilledError

    @property
    def catalogue(self) -> Catalogue:
        return load_catalogue(self.folder / "catalog", release=self.folder / "release.yaml")

    def preview(self, pins: Mapping[str, str]) -> list[Change]:
        known = {service.name: service.pipeline for service in self.catalogue}
        moved = [name for name, pin in pins.items() if self.projects.get(name, known[name]) != pin]
        return [Change(stack=f"service-{n}", op=Op.UPDATE, kind="forgeline:gitlab:Project", name=n) for n in moved]

    def bring(self, pins: Mapping[str, str]) -> list[Change]:
        changes = self.preview(pins)
        for _ in self._step():
            write_pins(self.catalogue, pins)
        for name, pin in pins.items():
            for _ in self._step():
                self.projects[name] = pin
        return changes

    def start(self, name: str) -> PipelineRun:
        if name == self.refused:
            raise ServerError("GitLab refused: the file is invalid", where=name)
        for _ in self._step():
            self.started[len(self.started) + 1] = name
            self.ended.pop(len(self.started), None)
        return run_of(name, len(self.started), "running")

    def find(self, name: str, number: int) -> PipelineRun | None:
        known = self.ended.get(number, run_of(name, number, "running"))
        return known if self.started.get(number) == name else None

    def follow(self, runs: Sequence[PipelineRun], title: str) -> list[PipelineRun]:
        for _ in self._step():
            pass
        ended = [replace(run, status="failed" if run.service in self.red else "success") for run in runs]
        self.ended |= {run.id: run for run in ended}
        return ended

    def log(self, name: str, job: Job) -> list[str]:
        return [f"{name} said no"]


def run_of(name: str, number: int, status: str) -> PipelineRun:
    job = Job(id=7, name="lint", stage="quality", status="failed", seconds=1.0, web_url="http://gitlab/job/7")
    return PipelineRun(
        service=name, id=number, number=number, status=status, ref="main", sha="0", web_url="http://x", jobs=(job,)
    )


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    shutil.copytree(CATALOG, tmp_path / "catalog")
    shutil.copy(RELEASE, tmp_path / "release.yaml")
    return Fleet(tmp_path)


def rollout(fleet: Fleet, version: str = NEW) -> Rollout:
    file = RecordFile(fleet.folder / "rollout.json")
    return Rollout(version=version, catalogue=fleet.catalogue, fleet=fleet, file=file)


def run(fleet: Fleet, version: str = NEW, **chosen: Any) -> RolloutResult:
    work = rollout(fleet, version)
    return work.carry_out(work.plan(**chosen))


def back(fleet: Fleet, version: str = NEW) -> RolloutResult:
    work = rollout(fleet, version)
    return work.carry_back(work.plan_back())


def pins(fleet: Fleet) -> set[str]:
    return {service.pipeline for service in fleet.catalogue}


def test_the_dry_run_is_what_is_carried_out_and_then_nothing_is_left(fleet: Fleet) -> None:
    work = rollout(fleet)
    plan = work.plan()
    planned = work.preview(plan)
    assert (pins(fleet), fleet.projects, fleet.started) == ({OLD}, {}, {})
    done = run(fleet)
    assert (done.plan, set(done.changes)) == (planned.plan, set(planned.changes))
    assert len(done.changes) == len(fleet.catalogue) == len(done.runs)
    assert (pins(fleet), set(fleet.projects.values())) == ({NEW}, {NEW})
    again = run(fleet)
    assert (again.plan.moves, again.changes, again.runs) == ((), (), ())
    assert len(fleet.started) == len(fleet.catalogue)


def test_a_red_wave_halts_what_comes_after_it_and_says_what_to_look_at(fleet: Fleet) -> None:
    fleet.red = {"settlement"}
    done = run(fleet)
    assert done.halt
    assert (done.halt.service, done.halt.wave, done.halt.job) == ("settlement", "important", "lint")
    assert done.halt.log == ("settlement said no",)
    assert done.as_json()["halted"]["web_url"] == "http://gitlab/job/7"
    moved = {service.name for service in fleet.catalogue if service.pipeline == NEW}
    assert moved == {"client-reporting", "compliance-monitor", "fund-valuation", "position-keeping", "settlement"}
    assert set(fleet.projects) == moved


def test_after_red_the_same_command_starts_only_the_red_pipeline_anew_and_goes_on(fleet: Fleet) -> None:
    fleet.red = {"settlement"}
    run(fleet)
    fleet.red = set()
    fleet.started = dict(fleet.started)
    before = len(fleet.started)
    done = run(fleet)
    assert done.halt is None
    assert list(fleet.started.values())[before:][0] == "settlement"
    assert sorted(fleet.started.values()).count("compliance-monitor") == 1
    assert pins(fleet) == {NEW}


def test_a_pipeline_that_can_t_be_started_halts_too(fleet: Fleet) -> None:
    fleet.refused = "client-reporting"
    done = run(fleet)
    assert done.halt
    assert "the file is invalid" in done.halt.reason
    assert back(fleet).plan.moves
    assert pins(fleet) == {OLD}


def steps(tmp_path: Path) -> int:
    """How many places there are at which a roll-out can be killed."""
    shutil.copytree(CATALOG, tmp_path / "count" / "catalog")
    shutil.copy(RELEASE, tmp_path / "count" / "release.yaml")
    fleet = Fleet(tmp_path / "count")
    run(fleet, services=["settlement", "market-data"])
    return fleet.calls


def test_killed_anywhere_it_is_finished_by_running_it_again(fleet: Fleet, tmp_path: Path) -> None:
    count = steps(tmp_path)
    assert count > 10
    for place in range(1, count + 1):
        fleet.calls, fleet.killed_at = 0, place
        with pytest.raises(KilledError):
            run(fleet, services=["settlement", "market-data"])
        fleet.killed_at = None
        assert run(fleet, services=["settlement", "market-data"]).halt is None
        assert {n: fleet.projects[n] for n in ("settlement", "market-data")} == dict.fromkeys(fleet.projects, NEW)
        assert {s.name for s in fleet.catalogue if s.pipeline == NEW} == {"settlement", "market-data"}
        # A pipeline of which nobody knew that it was started is the only one that may be there twice.
        assert len(fleet.started) <= 3
        back(fleet)
        assert (pins(fleet), set(fleet.projects.values())) == ({OLD}, {OLD})
        fleet.started.clear()
        (tmp_path / "rollout.json").unlink()


def test_killed_anywhere_it_is_taken_back_and_a_killed_way_back_is_finished(fleet: Fleet, tmp_path: Path) -> None:
    for place in range(1, steps(tmp_path) + 1):
        fleet.calls, fleet.killed_at = 0, place
        with pytest.raises(KilledError):
            run(fleet, services=["settlement", "market-data"])
        fleet.calls, fleet.killed_at = 0, 3
        with pytest.raises(KilledError):
            back(fleet)
        fleet.killed_at = None
        assert {move.after for move in back(fleet).plan.moves} == {OLD}
        assert (pins(fleet), set(fleet.projects.values()) - {OLD}) == ({OLD}, set())
        assert back(fleet).plan.moves == ()
        (tmp_path / "rollout.json").unlink()


def progress(fleet: Fleet) -> dict[str, Progressed]:
    record = RecordFile(fleet.folder / "rollout.json").read()
    assert record
    return {name: moved.progress for name, moved in record.services.items()}


def test_after_the_way_back_a_pipeline_of_each_service_is_seen_green(fleet: Fleet) -> None:
    run(fleet, services=["settlement", "market-data"])
    fleet.started.clear()
    done = back(fleet)
    assert sorted(fleet.started.values()) == ["market-data", "settlement"]
    assert [(one.service, one.green) for one in done.runs] == [("market-data", True), ("settlement", True)]
    assert done.halt is None
    assert set(progress(fleet).values()) == {Progressed.BACK}
    again = back(fleet)
    assert (again.plan.moves, again.runs, len(fleet.started)) == ((), (), 2)


def test_what_is_red_after_the_way_back_is_told_and_looked_at_again(fleet: Fleet) -> None:
    run(fleet, services=["settlement", "market-data"])
    fleet.started.clear()
    fleet.red = {"settlement"}
    done = back(fleet)
    assert done.halt
    assert (done.halt.service, done.halt.job, done.halt.log) == ("settlement", "lint", ("settlement said no",))
    assert (pins(fleet), set(fleet.projects.values())) == ({OLD}, {OLD})
    assert progress(fleet) == {"market-data": Progressed.BACK, "settlement": Progressed.RETURNED}
    assert rollout(fleet, "v1.2.0").plan().moves, "it keeps no other roll-out waiting"
    fleet.red = set()
    again = back(fleet)
    assert ([one.service for one in again.runs], again.changes, again.halt) == (["settlement"], (), None)
    assert sorted(fleet.started.values()) == ["market-data", "settlement", "settlement"]
    assert back(fleet).plan.moves == ()


def test_who_returned_has_returned_though_no_pipeline_can_be_started(fleet: Fleet) -> None:
    run(fleet, services=["settlement", "market-data"])
    fleet.refused = "market-data"
    done = back(fleet)
    assert done.halt
    assert "the file is invalid" in done.halt.reason
    assert (pins(fleet), set(fleet.projects.values())) == ({OLD}, {OLD})
    fleet.refused = ""
    assert back(fleet).halt is None


def test_a_way_back_that_was_killed_anywhere_is_finished_with_the_pipelines_that_it_started(
    fleet: Fleet, tmp_path: Path
) -> None:
    chosen = ["settlement", "market-data"]
    run(fleet, services=chosen)
    fleet.calls = 0
    back(fleet)
    count = fleet.calls
    assert count > 10
    for place in range(1, count + 1):
        run(fleet, services=chosen)
        fleet.started.clear()
        fleet.calls, fleet.killed_at = 0, place
        with pytest.raises(KilledError):
            back(fleet)
        fleet.killed_at = None
        done = back(fleet)
        assert (sorted(one.service for one in done.runs), done.halt) == (sorted(chosen), None)
        assert (pins(fleet), set(fleet.projects.values())) == ({OLD}, {OLD})
        assert len(fleet.started) <= 3
        assert set(progress(fleet).values()) == {Progressed.BACK}


def test_each_service_goes_back_to_the_release_that_it_had(fleet: Fleet) -> None:
    run(fleet, services=["settlement"])
    run(fleet, "v1.2.0")
    back(fleet, "v1.2.0")
    assert {service.name for service in fleet.catalogue if service.pipeline == NEW} == {"settlement"}
    assert pins(fleet) == {OLD, NEW}


def test_what_somebody_moved_since_is_left_alone(fleet: Fleet) -> None:
    run(fleet, services=["settlement", "market-data"])
    write_pins(fleet.catalogue, {"settlement": "v1.3.0"})
    done = back(fleet)
    assert [(stay.service, stay.reason) for stay in done.plan.stays] == [("settlement", "was moved to v1.3.0 since")]
    assert fleet.catalogue.service("settlement").pipeline == "v1.3.0"


def test_another_version_waits_until_this_one_is_finished(fleet: Fleet) -> None:
    fleet.red = {"client-reporting"}
    run(fleet)
    with pytest.raises(BadInputError, match=r"v1\.1\.0 is not finished: client-reporting") as caught:
        rollout(fleet, "v1.2.0").plan()
    assert "rollout v1.1.0" in caught.value.fix
    with pytest.raises(BadInputError, match="client-reporting of this roll-out is not green yet"):
        rollout(fleet).plan(waves=["core"])
    back(fleet)
    assert len(rollout(fleet, "v1.2.0").plan().moves) == len(fleet.catalogue)


def test_there_is_nothing_to_take_back_of_a_version_that_was_not_rolled_out(fleet: Fleet) -> None:
    with pytest.raises(BadInputError, match="there was none yet"):
        rollout(fleet).plan_back()
    run(fleet, services=["settlement"])
    with pytest.raises(BadInputError, match=r"the last one was to v1\.1\.0"):
        rollout(fleet, "v1.2.0").plan_back()


def test_the_record_is_kept_before_anything_is_moved(fleet: Fleet) -> None:
    fleet.killed_at = 1
    with pytest.raises(KilledError):
        run(fleet, services=["settlement"])
    record = RecordFile(fleet.folder / "rollout.json").read()
    assert record
    assert {name: (m.before, m.progress) for name, m in record.services.items()} == {
        "settlement": (OLD, Progressed.MOVING)
    }


def test_files_are_changed_all_or_none(fleet: Fleet) -> None:
    """A pin that can't be changed in one of them is found before any is written."""
    file = fleet.folder / "catalog" / "settlement.yaml"
    file.write_text(file.read_text().replace("pipeline: v1.0.0", "? pipeline\n: v1.0.0"))
    with pytest.raises(BadInputError, match="can't be changed here"):
        write_pins(fleet.catalogue, {"market-data": NEW, "settlement": NEW})
    assert pins(fleet) == {OLD}


def test_a_file_keeps_its_mode_and_a_link_stays_a_link(fleet: Fleet) -> None:
    folder = fleet.folder / "catalog"
    target = fleet.folder / "settlement-elsewhere.yaml"
    (folder / "settlement.yaml").rename(target)
    (folder / "settlement.yaml").symlink_to(target)
    target.chmod(0o640)
    write_pins(fleet.catalogue, {"settlement": NEW})
    assert (folder / "settlement.yaml").is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert fleet.catalogue.service("settlement").pipeline == NEW


@dataclass
class Releases:
    """Releases in memory."""

    held: dict[str, dict[str, str]]

    def versions(self) -> list[str]:
        return sorted(self.held)

    def blobs(self, version: str) -> dict[str, str]:
        return dict.fromkeys(self.held.get(version, {}), "")

    def files(self, version: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
        return self.held.get(version, {})


SOURCE = Source.of(load_settings({}), load_catalogue())
FILES = SOURCE.files(NEW)


@pytest.mark.parametrize(
    ("held", "recorded", "told"),
    [
        pytest.param({OLD: FILES}, {}, "has no pipeline release v1.1.0; it has v1.0.0", id="not-published"),
        pytest.param({NEW: {**FILES, "settlement.yml": "x"}}, {}, "is not what was published", id="altered"),
        pytest.param({NEW: FILES}, {NEW: {"settlement.yml": "0" * 40}}, "is not what was published", id="other"),
    ],
)
def test_a_release_is_looked_at_before_anything_moves(
    fleet: Fleet, held: dict[str, dict[str, str]], recorded: dict[str, Any], told: str
) -> None:
    plan: RolloutPlan = rollout(fleet).plan()
    check_releases(plan, Releases({NEW: FILES}), SOURCE, {})
    with pytest.raises(BadInputError, match=told):
        check_releases(plan, Releases(held), SOURCE, recorded)


def test_a_job_s_log_reads_as_on_a_terminal() -> None:
    log = (
        "2026-11-24T19:29:44.334943Z 00O section_start:1790000000:step_script\r\x1b[0K\x1b[36;1mRunning\x1b[0;m\n"
        "2026-11-24T19:29:44.335761Z 00O+\n"
        "2026-11-24T19:29:44.366627Z 01E ls: cannot access '/nowhere'\r\n"
        "10 %\r50 %\r100 %\n"
        "plain: 2026-11-24T19:29:44Z stays\n"
    )
    assert plain_lines(log) == ["Running", "ls: cannot access '/nowhere'", "100 %", "plain: 2026-11-24T19:29:44Z stays"]
