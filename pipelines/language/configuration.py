"""A whole configuration, checked: what `/ci/lint` checks, before any pipeline is thought of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pipelines.language.assignment import ROOT_KEYS, read_variables
from pipelines.language.entry import Entry, Problems
from pipelines.language.error import ConfigError
from pipelines.language.extends import extend
from pipelines.language.include import Included, expand_includes
from pipelines.language.job import DEFAULT_KEYS, WrittenJob, is_job, read_job
from pipelines.language.model import ConfigSource, Context, IncludeRef, Variable
from pipelines.language.need import NeedEntry
from pipelines.language.reference import resolve
from pipelines.language.rule import Rule, read_auto_cancel, read_rules

JOB_LIMIT = 5000
"""Jobs that a configuration may come to, parallel ones counted."""
NEEDS_LIMIT = 50
"""Jobs that one may need, parallel ones counted (`ci_needs_size_limit`)."""
WORKFLOW_NAME_LIMIT = 255
DEFAULT_STAGES = ("build", "test", "deploy")
FIRST_STAGE, LAST_STAGE = ".pre", ".post"

_DEPRECATED_DEFAULTS = ("image", "services", "before_script", "after_script", "cache")
_ROOT_KEYS = ("default", "include", *_DEPRECATED_DEFAULTS, "variables", "stages", "workflow")


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """`workflow`."""

    name: str | None = None
    rules: tuple[Rule, ...] | None = None
    auto_cancel: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A valid configuration. `merged` is what includes, references and extends gave."""

    merged: Mapping[str, Any]
    stages: tuple[str, ...]
    variables: tuple[Variable, ...]
    workflow: Workflow
    jobs: tuple[WrittenJob, ...]
    includes: tuple[IncludeRef, ...]
    warnings: tuple[str, ...]

    @cached_property
    def _instances(self) -> dict[str, tuple[str, ...]]:
        """Final names by written name, and each final name by itself."""
        named = {instance.name: (instance.name,) for job in self.jobs for instance in job.instances}
        return named | {job.template.name: tuple(one.name for one in job.instances) for job in self.jobs}

    def names(self, need: NeedEntry) -> tuple[str, ...]:
        """Final names of the jobs that a need (or a dependency) means; none if there is no such job."""
        names = self._instances.get(need.job, ())
        if need.matrix is None:
            return names
        wanted = {f"{need.job}: [{', '.join(value for _, value in one)}]" for one in need.matrix}
        return tuple(name for name in names if name in wanted)


def merge(source: ConfigSource, context: Context) -> Included:
    """The configuration as one mapping: includes, then references, then extends. Raises ConfigError."""
    included = expand_includes(source, context)
    return replace(included, config=extend(resolve(included.config)))


def read_configuration(included: Included) -> Configuration:
    """The merged configuration, checked. Raises ConfigError: all problems of entries, or else the first of logic."""
    config = included.config
    problems = Problems(lenient=included.lenient)
    if "spec" in config and not included.lenient:
        raise ConfigError(["spec: is not supported by Forgeline"])
    default = _default(config, problems)
    workflow = _workflow(Entry("workflow", config.get("workflow"), problems))
    stages = _stages(Entry("stages", config.get("stages"), problems))
    variables = read_variables(Entry("variables", config.get("variables"), problems), ROOT_KEYS)
    jobs = _jobs(config, default, problems, workflow_rules=workflow.rules is not None)
    if problems.errors:
        raise ConfigError(problems.errors)
    configuration = Configuration(
        merged=config,
        stages=stages,
        variables=variables,
        workflow=workflow,
        jobs=jobs,
        includes=included.files,
        warnings=tuple(problems.warnings),
    )
    _check_logic(configuration)
    return configuration


def _default(config: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    entry = Entry("default", config.get("default"), problems)
    default: dict[str, Any] = {}
    if entry.given and entry.is_mapping(DEFAULT_KEYS, refused=("services", "identity")):
        default = {key: value for key, value in entry.value.items() if value is not None}
    for key in _DEPRECATED_DEFAULTS:
        if config.get(key) is None:
            continue
        if key == "services":
            Entry(key, None, problems).refuse()
        elif key in default:
            raise ConfigError([f"{key} is defined in top-level and `default:` entry"])
        else:
            default[key] = config[key]
    return {key: value for key, value in default.items() if _is_right(entry, key, value, config)}


def _is_right(entry: Entry, key: str, value: Any, config: Mapping[str, Any]) -> bool:
    """Whether a default can be inherited. It is checked once, where it stands: jobs don't report it again."""
    place = Entry("", None, entry.problems) if config.get(key) is not None else entry
    before = len(entry.problems.errors)
    read_job(Entry(place.where, {"script": ["true"], key: value}, entry.problems), "default", {}, workflow_rules=True)
    return len(entry.problems.errors) == before


def _workflow(entry: Entry) -> Workflow:
    if not entry.given or not entry.is_mapping(("name", "rules", "auto_cancel")):
        return Workflow()
    name = Entry(entry.where, entry.value.get("name"), entry.problems).string("name")
    if name is not None and not 1 <= len(name) <= WORKFLOW_NAME_LIMIT:
        entry.problem(f"name is too {'long' if name else 'short'} (maximum is {WORKFLOW_NAME_LIMIT} characters)")
    return Workflow(
        name=name,
        rules=read_rules(entry.get("rules"), kind="workflow") if entry.get("rules").given else None,
        auto_cancel=read_auto_cancel(entry.get("auto_cancel")),
    )


def _stages(entry: Entry) -> tuple[str, ...]:
    named = entry.strings() if entry.given else DEFAULT_STAGES
    inner = [stage for stage in dict.fromkeys(named) if stage not in (FIRST_STAGE, LAST_STAGE)]
    return (FIRST_STAGE, *inner, LAST_STAGE)


def _jobs(
    config: Mapping[str, Any], default: Mapping[str, Any], problems: Problems, *, workflow_rules: bool
) -> tuple[WrittenJob, ...]:
    jobs: list[WrittenJob] = []
    count = 0
    for name, value in config.items():
        if name in _ROOT_KEYS or name.startswith("."):
            continue
        if not is_job(name, value):
            message = "config should implement the script:, run:, or trigger: keyword"
            problems.errors.append(f"jobs {name.lower()} {message}")
            continue
        entry = Entry(f"jobs:{name}", value, problems)
        jobs.append(read_job(entry, name, default, workflow_rules=workflow_rules))
        count += len(jobs[-1].instances)
        if count > JOB_LIMIT:
            raise ConfigError([f"jobs config has too many jobs (maximum is {JOB_LIMIT})"])
    if not jobs:
        problems.errors.append("jobs config should contain at least one visible job")
    return tuple(jobs)


def _check_logic(configuration: Configuration) -> None:
    """What GitLab's `YamlProcessor` checks once the entries are fine; it stops at the first."""
    stage_of = {instance.name: job.template.stage for job in configuration.jobs for instance in job.instances}
    for job in configuration.jobs:
        name, stage = job.template.name, job.template.stage
        if stage not in configuration.stages:
            stages = ", ".join(configuration.stages)
            raise ConfigError([f"{name} job: chosen stage {stage} does not exist; available stages are {stages}"])
        for dependency in job.template.dependencies or ():
            _check_earlier(configuration, stage_of, job, NeedEntry(job=dependency), "dependency")
        for needs in (job.needs, *(rule.needs for rule in job.rules or ())):
            for need in needs or ():
                _check_earlier(configuration, stage_of, job, need, "need")
            _check_number(configuration, name, needs or ())
            _check_doubles(name, needs or ())
        _check_on_stop(configuration, job)
    _check_circle(configuration)


def _check_earlier(
    configuration: Configuration, stage_of: Mapping[str, str], job: WrittenJob, need: NeedEntry, kind: str
) -> None:
    names = configuration.names(need)
    if not names and not need.optional:
        raise ConfigError([f"{job.template.name} job: undefined {kind}: {need.job}"])
    order = {stage: index for index, stage in enumerate(configuration.stages)}
    here = order[job.template.stage]
    for name in names:
        if stage_of[name] not in order or order[stage_of[name]] > here:
            raise ConfigError([f"{job.template.name} job: {kind} {need.job} is not defined in current or prior stages"])


def _check_number(configuration: Configuration, name: str, needs: tuple[NeedEntry, ...]) -> None:
    number = sum(len(configuration.names(need)) for need in needs)
    if number > NEEDS_LIMIT:
        raise ConfigError(
            [
                f"{name}: one job can only need {NEEDS_LIMIT} others, but you have listed {number}. "
                "See needs keyword documentation for more details"
            ]
        )


def _check_doubles(name: str, needs: tuple[NeedEntry, ...]) -> None:
    seen = [(need.job, need.matrix) for need in needs]
    doubles = dict.fromkeys(need.job for need in needs if seen.count((need.job, need.matrix)) > 1)
    if doubles:
        raise ConfigError([f"{name} has the following needs duplicated: {', '.join(doubles)}."])


def _check_on_stop(configuration: Configuration, job: WrittenJob) -> None:
    environment = job.template.environment
    if environment is None or environment.on_stop is None:
        return
    name, stop = job.template.name, environment.on_stop
    other = next((one.template for one in configuration.jobs if one.template.name == stop), None)
    if other is None:
        raise ConfigError([f"{name} job: on_stop job {stop} is not defined"])
    if other.environment is None:
        raise ConfigError([f"{name} job: on_stop job {stop} does not have environment defined"])
    if other.environment.template != environment.template:
        raise ConfigError([f"{name} job: on_stop job {stop} have different environment name"])
    if other.environment.action != "stop":
        raise ConfigError([f"{name} job: on_stop job {stop} needs to have action stop defined"])


def _check_circle(configuration: Configuration) -> None:
    needed = {
        instance.name: [name for need in job.needs or () for name in configuration.names(need)]
        for job in configuration.jobs
        for instance in job.instances
    }
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as error:
        circle = list(dict.fromkeys(error.args[1]))
        names = ", ".join(f'"{name}"' for name in circle)
        why = f"self-dependency: {circle[0]}" if len(circle) == 1 else f"topological sort failed: [{names}]"
        raise ConfigError([f"The pipeline has circular dependencies: {why}"]) from error
