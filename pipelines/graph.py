"""The graph of a pipeline's jobs: what must have succeeded before a job runs, and the ways by which it is reached.

A job waits for the jobs that it needs, or without `needs` for all earlier stages. It then runs if they succeeded,
unless its `when` says otherwise (https://docs.gitlab.com/ci/yaml/#when). A job that may fail, or that waits for a
person without blocking, holds nothing up. An optional need holds up only while its job is there, so it proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from pipelines.language.model import JobSpec, PipelineSpec, When

_REGARDLESS = frozenset({When.ALWAYS, When.ON_FAILURE})
"""With these a job runs although one before it failed."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One job that another waits for by itself. `by_stage`: there are no `needs`, the order of stages says so."""

    before: str
    after: str
    optional: bool = False
    by_stage: bool = False


class Graph:
    """The jobs of one compiled pipeline and what they wait for."""

    def __init__(self, pipeline: PipelineSpec) -> None:
        self.stages = pipeline.stages
        self.jobs: Mapping[str, JobSpec] = {job.name: job for job in pipeline.jobs}

    def edges(self, name: str) -> Iterator[Edge]:
        """The edges that lead to a job."""
        job = self.jobs[name]
        if job.needs is None:
            for other in self.jobs.values():
                if other.stage_index < job.stage_index:
                    yield Edge(before=other.name, after=name, by_stage=True)
            return
        for need in job.needs:
            if need.name in self.jobs:
                yield Edge(before=need.name, after=name, optional=need.optional)

    def before(self, name: str) -> frozenset[str]:
        """The jobs that have surely succeeded when `name` runs, whatever way leads to it."""
        mask = self._before[name]
        return frozenset(other for other, bit in self._bits.items() if mask & bit)

    def passes(self, name: str, gate: str) -> bool:
        """Whether `gate` has surely succeeded when `name` runs."""
        return bool(self._before[name] & self._bits.get(gate, 0))

    @cached_property
    def _bits(self) -> Mapping[str, int]:
        return {name: 1 << index for index, name in enumerate(self.jobs)}

    @cached_property
    def _before(self) -> Mapping[str, int]:
        """By job, what is surely before it as a set of bits: thousands of jobs may each have thousands before them."""
        by_stage = [0] * (max((job.stage_index for job in self.jobs.values()), default=0) + 2)
        for job in self.jobs.values():
            if is_strict(job):
                by_stage[job.stage_index + 1] |= self._bits[job.name]
        for index in range(1, len(by_stage)):
            by_stage[index] |= by_stage[index - 1]
        found: dict[str, int] = {}
        for name in self.in_order():
            job = self.jobs[name]
            sure = 0
            if job.when in _REGARDLESS:
                pass
            elif job.needs is None:
                sure = by_stage[job.stage_index]
            else:
                for edge in self.edges(name):
                    if not edge.optional:
                        strict = is_strict(self.jobs[edge.before])
                        sure |= found[edge.before] | (self._bits[edge.before] if strict else 0)
            found[name] = sure
        return found

    def in_order(self) -> Iterator[str]:
        """The jobs, each after those that it needs (the compiler refuses circles)."""
        done: set[str] = set()
        for start in self.jobs:
            stack = [(start, False)]
            while stack:
                name, ready = stack.pop()
                if name in done:
                    continue
                if ready or not self.jobs[name].needs:
                    done.add(name)
                    yield name
                    continue
                stack.append((name, True))
                stack += [(edge.before, False) for edge in self.edges(name) if edge.before not in done]

    def way_around(self, name: str, gate: str) -> tuple[str, ...]:
        """A way to `name`, from a job that waits for nothing, on which `gate` is not."""
        way = [name]
        while True:
            earlier = [
                edge.before for edge in self.edges(way[0]) if edge.before != gate and not self.passes(edge.before, gate)
            ]
            if not earlier:
                return tuple(way)
            way.insert(0, max(earlier, key=lambda one: self.jobs[one].stage_index))

    def drawn_edges(self) -> Iterator[Edge]:
        """The edges worth drawing: those of the stage order only from the last stage that has a job."""
        for name in self.jobs:
            edges = list(self.edges(name))
            last = max((self.jobs[edge.before].stage_index for edge in edges if edge.by_stage), default=-1)
            for edge in edges:
                if not edge.by_stage or self.jobs[edge.before].stage_index == last:
                    yield edge

    def in_stages(self) -> Iterator[tuple[str, tuple[JobSpec, ...]]]:
        """Each stage that has jobs, with them."""
        for stage in self.stages:
            yield stage, tuple(job for job in self.jobs.values() if job.stage == stage)


def is_strict(job: JobSpec) -> bool:
    """Whether those that wait for `job` go on only when it has succeeded."""
    return job.when is not When.ON_FAILURE and not job.allow_failure and not job.allow_failure_exit_codes


def is_approval(job: JobSpec) -> bool:
    """Whether a person must start `job` before anything that waits for it goes on."""
    return job.when is When.MANUAL and is_strict(job)
