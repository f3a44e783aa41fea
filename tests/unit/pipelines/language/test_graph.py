"""Progress of a pipeline: GitLab's rules for stages, needs, when, allow_failure and the composite status."""

from __future__ import annotations

import pytest

from pipelines.language.graph import JobState, advance, composite_status, has_warnings, revived
from pipelines.language.model import JobSpec, Need, Status, When

S = Status


def job(
    name: str,
    stage: int,
    status: Status = S.CREATED,
    when: When = When.ON_SUCCESS,
    needs: tuple[str, ...] | None = None,
    allow: bool = False,
) -> JobState:
    return JobState(name=name, stage_index=stage, status=status, when=when, needs=needs, allow_failure=allow)


@pytest.mark.parametrize(
    ("jobs", "moves"),
    [
        pytest.param([job("a", 0), job("b", 0), job("c", 1)], {"a": S.PENDING, "b": S.PENDING}, id="first-stage"),
        pytest.param([job("a", 0, S.RUNNING), job("b", 1)], {}, id="waits-for-stage"),
        pytest.param([job("a", 0, S.SUCCESS), job("b", 1), job("c", 2)], {"b": S.PENDING}, id="next-stage"),
        pytest.param([job("a", 0, S.SUCCESS), job("x", 0, S.PENDING), job("b", 1)], {}, id="whole-stage"),
        pytest.param(
            [job("a", 0, S.FAILED), job("b", 1), job("c", 2)], {"b": S.SKIPPED, "c": S.SKIPPED}, id="failure-skips-all"
        ),
        pytest.param([job("a", 0, S.FAILED, allow=True), job("b", 1)], {"b": S.PENDING}, id="allowed-failure"),
        pytest.param(
            [job("a", 0, S.FAILED), job("b", 1, when=When.ON_FAILURE), job("c", 1, when=When.ALWAYS)],
            {"b": S.PENDING, "c": S.PENDING},
            id="on-failure-and-always",
        ),
        pytest.param(
            [job("a", 0, S.SUCCESS), job("b", 1, when=When.ON_FAILURE), job("c", 2)],
            {"b": S.SKIPPED, "c": S.PENDING},
            id="on-failure-skipped-and-on",
        ),
        pytest.param(
            [job("a", 0, S.FAILED, allow=True), job("b", 1, when=When.ON_FAILURE)],
            {"b": S.SKIPPED},
            id="allowed-failure-is-no-failure",
        ),
        pytest.param(
            [job("a", 0, when=When.MANUAL, allow=True), job("b", 1)],
            {"a": S.MANUAL, "b": S.PENDING},
            id="optional-manual-does-not-block",
        ),
        pytest.param([job("a", 0, when=When.MANUAL), job("b", 1)], {"a": S.MANUAL}, id="blocking-manual-blocks"),
        pytest.param([job("a", 0, S.SUCCESS), job("b", 1, when=When.DELAYED)], {"b": S.SCHEDULED}, id="delayed"),
        pytest.param(
            [job("a", 0, S.FAILED), job("b", 1, when=When.MANUAL), job("c", 1, when=When.DELAYED)],
            {"b": S.SKIPPED, "c": S.SKIPPED},
            id="manual-and-delayed-need-success",
        ),
        pytest.param(
            [job("a", 0, S.CANCELED), job("b", 1), job("c", 1, when=When.ALWAYS)],
            {"b": S.SKIPPED, "c": S.SKIPPED},
            id="canceled",
        ),
        pytest.param(
            [job("a", 0, S.RUNNING), job("b", 0, S.SUCCESS), job("c", 1, needs=("b",)), job("d", 1)],
            {"c": S.PENDING},
            id="needs-jump-the-stage",
        ),
        pytest.param([job("a", 0, S.PENDING), job("b", 2, needs=())], {"b": S.PENDING}, id="no-needs-starts-at-once"),
        pytest.param([job("a", 0, S.SKIPPED), job("b", 1, needs=("a",))], {"b": S.SKIPPED}, id="need-skipped"),
        pytest.param(
            [job("a", 0, S.FAILED), job("b", 1, needs=("a",)), job("c", 2, needs=("b",))],
            {"b": S.SKIPPED, "c": S.SKIPPED},
            id="needs-skip-on",
        ),
        pytest.param(
            [job("a", 0, S.FAILED, allow=True), job("b", 1, needs=("a",))], {"b": S.PENDING}, id="need-allowed"
        ),
        pytest.param(
            [job("a", 0, S.FAILED), job("b", 1, when=When.ON_FAILURE, needs=("a",))], {"b": S.PENDING}, id="need-failed"
        ),
        pytest.param(
            [job("a", 0, S.MANUAL, when=When.MANUAL, allow=True), job("b", 1, needs=("a",))],
            {"b": S.SKIPPED},
            id="need-of-an-optional-manual-job-is-skipped",
        ),
        pytest.param(
            [job("a", 0, S.MANUAL, when=When.MANUAL), job("b", 1, needs=("a",))], {}, id="need-of-a-blocking-manual-job"
        ),
        pytest.param([job("b", 1, needs=("absent",))], {"b": S.PENDING}, id="absent-optional-need"),
        pytest.param([job("a", 1, needs=("b",)), job("b", 1)], {"b": S.PENDING}, id="needs-in-one-stage"),
    ],
)
def test_advance(jobs: list[JobState], moves: dict[str, Status]) -> None:
    assert advance(jobs) == moves


@pytest.mark.parametrize(
    ("jobs", "status"),
    [
        ([(S.CREATED, False)], S.CREATED),
        ([(S.PENDING, False), (S.CREATED, False)], S.PENDING),
        ([(S.SUCCESS, False), (S.CREATED, False)], S.RUNNING),
        ([(S.SUCCESS, False), (S.PENDING, False)], S.RUNNING),
        ([(S.RUNNING, False), (S.FAILED, False)], S.RUNNING),
        ([(S.SUCCESS, False), (S.SUCCESS, False)], S.SUCCESS),
        ([(S.SUCCESS, False), (S.SKIPPED, False)], S.SUCCESS),
        ([(S.SUCCESS, False), (S.FAILED, True)], S.SUCCESS),
        ([(S.SUCCESS, False), (S.FAILED, False)], S.FAILED),
        ([(S.FAILED, False), (S.SKIPPED, False)], S.FAILED),
        ([(S.FAILED, False), (S.CANCELED, False)], S.FAILED),
        ([(S.SUCCESS, False), (S.CANCELED, False)], S.CANCELED),
        ([(S.SKIPPED, False)], S.SKIPPED),
        ([(S.MANUAL, True)], S.SKIPPED),
        ([(S.MANUAL, True), (S.SUCCESS, False)], S.SUCCESS),
        ([(S.MANUAL, False), (S.SUCCESS, False)], S.MANUAL),
        ([(S.MANUAL, False), (S.SUCCESS, False), (S.CREATED, False)], S.MANUAL),
        ([(S.MANUAL, False), (S.FAILED, False)], S.MANUAL),
        ([(S.SCHEDULED, False), (S.SUCCESS, False)], S.SCHEDULED),
        ([(S.WAITING_FOR_RESOURCE, False), (S.SUCCESS, False)], S.WAITING_FOR_RESOURCE),
        ([(S.CANCELING, False), (S.RUNNING, False)], S.CANCELING),
        ([(S.FAILED, True)], S.SUCCESS),
    ],
)
def test_composite_status(jobs: list[tuple[Status, bool]], status: Status) -> None:
    states = [job(str(index), 0, one, allow=allow) for index, (one, allow) in enumerate(jobs)]
    assert composite_status(states) is status


def test_no_jobs_have_no_status() -> None:
    assert composite_status([]) is None


def test_warnings() -> None:
    assert has_warnings([job("a", 0, S.FAILED, allow=True)])
    assert not has_warnings([job("a", 0, S.FAILED), job("b", 0, S.SUCCESS, allow=True)])


def test_a_pipeline_runs_to_its_end() -> None:
    states = {one.name: one for one in (job("a", 0), job("b", 1), job("c", 1, needs=("a",)), job("d", 2))}
    order = []
    while moved := advance(list(states.values())):
        for name in moved:
            order.append(name)
            states[name] = job(name, states[name].stage_index, S.SUCCESS, needs=states[name].needs)
    assert order[0] == "a"
    assert order[-1] == "d"
    assert composite_status(states.values()) is S.SUCCESS


def test_exit_codes_allow_a_failure() -> None:
    spec = JobSpec(
        name="a",
        group="a",
        stage="test",
        stage_index=1,
        script=("false",),
        allow_failure_exit_codes=(3,),
        needs=(Need(name="b"),),
    )
    assert JobState.of(spec, S.FAILED, 3).allow_failure
    assert not JobState.of(spec, S.FAILED, 4).allow_failure
    assert not JobState.of(spec, S.FAILED).allow_failure
    assert JobState.of(spec, S.FAILED).needs == ("b",)


def test_a_retried_job_revives_what_it_skipped() -> None:
    jobs = [
        job("a", 0, S.FAILED),
        job("b", 1, S.SKIPPED),
        job("c", 2, S.SKIPPED, needs=("b",)),
        job("d", 2, S.SKIPPED, needs=("other",)),
        job("e", 0, S.SKIPPED),
        job("f", 1, S.SUCCESS),
    ]
    assert revived(jobs, "a") == {"b", "c"}
    assert revived(jobs, "f") == set()
