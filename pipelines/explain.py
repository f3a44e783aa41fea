"""What runs on an occasion, and why: every job with what lets it in, what it waits for, and what leaves others out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.context import Occasion, occasion_context
from pipelines.graph import Graph
from pipelines.language.compiler import matched_rules
from pipelines.language.configuration import Configuration
from pipelines.language.error import ConfigError
from pipelines.rules.production import is_production
from pipelines.subject import Subject

_CONDITIONS = ("if", "changes", "exists")


@dataclass(frozen=True, kw_only=True)
class ExplainedJob:
    """A job of the file on an occasion. `runs` is false where its rules leave it out."""

    name: str
    stage: str
    runs: bool
    why: str
    when: str = ""
    allow_failure: bool = False
    needs: tuple[str, ...] | None = None
    """None: all jobs of the earlier stages."""
    environment: str = ""

    def as_json(self) -> dict[str, Any]:
        """A JSON object with the job's fields."""
        return {
            "name": self.name,
            "stage": self.stage,
            "runs": self.runs,
            "why": self.why,
            "when": self.when,
            "allow_failure": self.allow_failure,
            "needs": None if self.needs is None else list(self.needs),
            "environment": self.environment,
        }


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """An occasion: whether there is a pipeline, why, and its jobs in their order, then those that are left out."""

    occasion: Occasion
    ref: str
    source: str
    protected: bool
    created: bool
    why: str
    jobs: tuple[ExplainedJob, ...]
    before_production: tuple[str, ...]
    """What every way to production passes through; empty if nothing gets there."""
    graph: Graph | None

    def as_json(self) -> dict[str, Any]:
        """A JSON object with everything but the graph, which the jobs' needs are."""
        return {
            "occasion": str(self.occasion),
            "ref": self.ref,
            "source": self.source,
            "protected": self.protected,
            "created": self.created,
            "why": self.why,
            "jobs": [job.as_json() for job in self.jobs],
            "before_production": list(self.before_production),
        }


def explain(subject: Subject, occasion: Occasion) -> Explanation:
    """What the file becomes on the occasion. Raises ConfigError if GitLab would refuse it."""
    context = occasion_context(occasion)
    configuration, pipeline = subject.configuration, subject.pipelines[occasion]
    for result in (configuration, pipeline):
        if isinstance(result, ConfigError):
            raise result
    if isinstance(configuration, ConfigError) or isinstance(pipeline, ConfigError):
        raise AssertionError("both were looked at above")
    workflow, matched = matched_rules(configuration, subject.source, context)
    written = subject.merged.get("workflow")
    graph = subject.graphs.get(occasion)
    return Explanation(
        occasion=occasion,
        ref=context.ref,
        source=str(context.source),
        protected=context.protected,
        created=pipeline.created,
        why=_why(written if isinstance(written, dict) else {}, workflow, "the workflow has no rules"),
        jobs=(*_running(subject, graph, matched), *_left_out(subject, configuration, graph, matched)),
        before_production=tuple(_before_production(subject, graph)) if graph else (),
        graph=graph,
    )


def _running(subject: Subject, graph: Graph | None, matched: dict[str, int | None]) -> Iterator[ExplainedJob]:
    for job in graph.jobs.values() if graph else ():
        yield ExplainedJob(
            name=job.name,
            stage=job.stage,
            runs=True,
            why=_why(subject.jobs.get(job.group, {}), matched.get(job.group), "it has no rules"),
            when=str(job.when),
            allow_failure=job.allow_failure,
            needs=None if job.needs is None else tuple(need.name for need in job.needs),
            environment=job.environment.name if job.environment else "",
        )


def _left_out(
    subject: Subject, configuration: Configuration, graph: Graph | None, matched: dict[str, int | None]
) -> Iterator[ExplainedJob]:
    present = {job.group for job in graph.jobs.values()} if graph else set()
    for written in configuration.jobs:
        name = written.template.name
        if name not in present:
            reason = "there is no pipeline" if graph is None else "its `only` or `except` leaves it out"
            why = _why(subject.jobs.get(name, {}), matched.get(name), reason)
            yield ExplainedJob(name=name, stage=written.template.stage, runs=False, why=why)


def _why(value: Any, index: int | None, without: str) -> str:
    """Which rule of a job or a workflow applied, in its own words."""
    rules = value.get("rules")
    if not isinstance(rules, list):
        return without
    if index is None or index >= len(rules) or not isinstance(rules[index], dict):
        return "none of its rules holds"
    rule = rules[index]
    said = [f"{key}: {rule[key]}" for key in _CONDITIONS if key in rule] or ["it asks for nothing"]
    when = f" -> when: {rule['when']}" if "when" in rule else ""
    return f"rule {index + 1} holds: {', '.join(said)}{when}"


def _before_production(subject: Subject, graph: Graph) -> Iterator[str]:
    targets = [job.name for job in graph.jobs.values() if is_production(subject, job)]
    for name in graph.jobs:
        if targets and all(graph.passes(target, name) for target in targets):
            yield name
