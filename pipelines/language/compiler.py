"""From a configuration and a context to a pipeline: workflow, rules, variables, needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pipelines.language.configuration import FIRST_STAGE, LAST_STAGE, Configuration, merge, read_configuration
from pipelines.language.document import TOO_BIG
from pipelines.language.error import ConfigError
from pipelines.language.job import WrittenJob
from pipelines.language.matrix import Instance
from pipelines.language.model import (
    AutoCancel,
    ConfigSource,
    Context,
    IdToken,
    JobSpec,
    LintResult,
    Need,
    PipelineSpec,
    Variable,
    When,
)
from pipelines.language.need import NeedEntry
from pipelines.language.policy import holds
from pipelines.language.rendering import render
from pipelines.language.rule import Conditions, Rule, first_match
from pipelines.language.variable import expand, expand_all, job_predefined, layered, mapping, merged

FILTERED = "Pipeline filtered out by workflow rules."
NO_JOBS = (
    "Pipeline will not run for the selected trigger. "
    "The rules configuration prevented any jobs from being added to the pipeline."
)


def compile_pipeline(source: ConfigSource, context: Context) -> PipelineSpec:
    """The pipeline that the configuration gives in this context. Raises ConfigError."""
    with _bounded():
        return plan_pipeline(read_configuration(merge(source, context)), source, context)


def plan_pipeline(configuration: Configuration, source: ConfigSource, context: Context) -> PipelineSpec:
    """The pipeline that a configuration gives in this context, which may be one of many. Raises ConfigError."""
    return _Plan(configuration, source, context).pipeline()


def lint(source: ConfigSource, context: Context, *, dry_run: bool = False) -> LintResult:
    """What is wrong with the configuration, and its merged form. With `dry_run` a pipeline is compiled too.

    Never raises ConfigError. Without `dry_run` the jobs are all those written, whatever their rules say.
    """
    merged_yaml = ""
    try:
        with _bounded():
            included = merge(source, context)
            merged_yaml = render(included.config)
            configuration = read_configuration(included)
            plan = _Plan(configuration, source, context)
            jobs = plan.pipeline().jobs if dry_run else plan.everything()
    except ConfigError as error:
        return LintResult(valid=False, errors=tuple(error.messages), merged_yaml=merged_yaml)
    return LintResult(
        valid=True,
        warnings=configuration.warnings,
        merged_yaml=merged_yaml,
        includes=configuration.includes,
        jobs=jobs,
    )


def matched_rules(
    configuration: Configuration, source: ConfigSource, context: Context
) -> tuple[int | None, dict[str, int | None]]:
    """Which rule applies in this context, from 0: of the workflow, and of each job as it is written that has rules.

    None: none of them. A parallel job has the rule of its first instance. Raises ConfigError.
    """
    return _Plan(configuration, source, context).matched()


@contextmanager
def _bounded() -> Iterator[None]:
    """Whatever a text nests so deep that Python gives up is the text's fault."""
    try:
        yield
    except RecursionError as error:
        raise ConfigError([TOO_BIG]) from error


@dataclass(frozen=True)
class _Plan:
    """One compilation."""

    configuration: Configuration
    source: ConfigSource
    context: Context

    def pipeline(self) -> PipelineSpec:
        configuration = self.configuration
        rule = self._workflow_rule()
        if rule is None:
            return PipelineSpec(created=False, reason=FILTERED, warnings=configuration.warnings)
        root = merged(configuration.variables, rule.variables)
        jobs = [job for written in configuration.jobs for job in self._included(written, root)]
        self._check_needs(jobs)
        present = {job.name for job in jobs}
        jobs = sorted((_without_absent(job, present) for job in jobs), key=lambda job: job.stage_index)
        if all(job.stage in (FIRST_STAGE, LAST_STAGE) for job in jobs):
            return PipelineSpec(created=False, reason=NO_JOBS, warnings=configuration.warnings)
        variables = mapping(expand_all(layered(self.context, root)))
        name = configuration.workflow.name
        used = {job.stage for job in jobs}
        return PipelineSpec(
            created=True,
            name=expand(name, variables).strip() or None if name is not None else None,
            stages=tuple(stage for stage in configuration.stages if stage in used),
            variables=root,
            auto_cancel=AutoCancel(**{**(configuration.workflow.auto_cancel or {}), **(rule.auto_cancel or {})}),
            jobs=tuple(jobs),
            warnings=configuration.warnings,
            includes=configuration.includes,
        )

    def matched(self) -> tuple[int | None, dict[str, int | None]]:
        rules = self.configuration.workflow.rules or ()
        variables = self.configuration.variables
        workflow = first_match(rules, self._conditions(layered(self.context, variables)))
        root = merged(variables, workflow.variables) if workflow is not None else variables
        found: dict[str, int | None] = {}
        for written in self.configuration.jobs:
            if written.rules is not None:
                instance = written.instances[0]
                base = _instance_spec(written, instance, _configured(written, instance, root))
                found[written.template.name] = _place(
                    written.rules, first_match(written.rules, self._job_conditions(base))
                )
        return _place(rules, workflow), found

    def everything(self) -> tuple[JobSpec, ...]:
        """All written jobs as if every rule let them in."""
        jobs = [
            self._finished(written, job, self._job_conditions(job), Rule())
            for written in self.configuration.jobs
            for instance in written.instances
            for job in [_instance_spec(written, instance, _configured(written, instance, self.configuration.variables))]
        ]
        return tuple(sorted(jobs, key=lambda job: job.stage_index))

    def _workflow_rule(self) -> Rule | None:
        """The workflow rule that applies; an empty one without rules; None when there is to be no pipeline."""
        rules = self.configuration.workflow.rules
        if rules is None:
            return Rule()
        rule = first_match(rules, self._conditions(layered(self.context, self.configuration.variables)))
        return None if rule is None or rule.when == "never" else rule

    def _conditions(self, variables: tuple[Variable, ...]) -> Conditions:
        return Conditions(
            context=self.context,
            files=self.source.files,
            variables=mapping(variables),
            expanded=mapping(expand_all(variables)),
        )

    def _included(self, written: WrittenJob, root: tuple[Variable, ...]) -> Iterable[JobSpec]:
        for instance in written.instances:
            job = _instance_spec(written, instance, _configured(written, instance, root))
            conditions = self._job_conditions(job)
            if written.rules is not None:
                rule = first_match(written.rules, conditions)
                if rule is not None and rule.when != "never":
                    yield self._finished(written, job, conditions, rule)
            elif (written.only is None or all(holds(written.only, conditions))) and not (
                written.except_ and any(holds(written.except_, conditions))
            ):
                yield self._finished(written, job, conditions, Rule())

    def _job_conditions(self, job: JobSpec) -> Conditions:
        predefined = job_predefined(job, with_environment=False)
        variables = layered(self.context, job.variables, job_predefined=predefined)
        try:
            if job.environment:
                name = expand(job.environment.template, mapping(expand_all(variables)))
                variables = layered(self.context, job.variables, job_predefined=predefined, environment=name)
            return self._conditions(variables)
        except ConfigError as error:
            raise ConfigError([f"{job.name}: {message}" for message in error.messages]) from error

    def _finished(self, written: WrittenJob, job: JobSpec, conditions: Conditions, rule: Rule) -> JobSpec:
        """`job` as its rule lets it in; an empty rule changes nothing. `conditions` are those the rule was held to."""
        if rule.variables:
            job = replace(job, variables=merged(job.variables, rule.variables))
            conditions = self._job_conditions(job)
        needs = rule.needs if rule.needs is not None else written.needs
        values = conditions.expanded
        environment = job.environment
        return replace(
            job,
            stage_index=self.configuration.stages.index(job.stage),
            needs=None if needs is None else self._needs(needs),
            dependencies=self._dependencies(job),
            environment=environment and replace(environment, name=expand(environment.template, values)),
            resource_group=job.resource_group and expand(job.resource_group, values),
            tags=tuple(expand(tag, values, keep_missing=True) for tag in job.tags),
            id_tokens=tuple(
                IdToken(name=token.name, audiences=tuple(expand(aud, values) for aud in token.audiences))
                for token in job.id_tokens
            ),
            **_ruled(rule),
        )

    def _needs(self, needs: tuple[NeedEntry, ...]) -> tuple[Need, ...]:
        return tuple(
            Need(name=name, artifacts=need.artifacts, optional=need.optional)
            for need in needs
            for name in self.configuration.names(need) or (need.job,)
        )

    def _dependencies(self, job: JobSpec) -> tuple[str, ...] | None:
        if job.dependencies is None:
            return None
        return tuple(name for one in job.dependencies for name in self.configuration.names(NeedEntry(job=one)))

    def _check_needs(self, jobs: list[JobSpec]) -> None:
        present = {job.name for job in jobs}
        messages = [
            f"'{job.name}' job needs '{need.name}' job, but '{need.name}' does not exist in the pipeline. "
            "This might be because of the only, except, or rules keywords. "
            "To need a job that sometimes does not exist in the pipeline, use needs:optional."
            for job in jobs
            for need in job.needs or ()
            if need.name not in present and not need.optional
        ]
        if messages:
            raise ConfigError(messages)


def _place(rules: tuple[Rule, ...], rule: Rule | None) -> int | None:
    """The place of a rule among equals: the one that applied, not one that only says the same."""
    return next((index for index, one in enumerate(rules) if one is rule), None)


def _configured(written: WrittenJob, instance: Instance, root: tuple[Variable, ...]) -> tuple[Variable, ...]:
    """The configuration's variables of a job: inherited, its own, its matrix's."""
    keys = written.inherited_variables
    inherited = [one for one in root if keys is True or (isinstance(keys, frozenset) and one.key in keys)]
    matrix = [Variable(key=key, value=value) for key, value in instance.matrix]
    return merged(inherited, written.variables, matrix)


def _instance_spec(written: WrittenJob, instance: Instance, variables: tuple[Variable, ...]) -> JobSpec:
    return replace(
        written.template,
        name=instance.name,
        variables=variables,
        parallel_index=instance.index,
        parallel_total=instance.total,
        matrix=instance.matrix,
    )


def _ruled(rule: Rule) -> dict[str, Any]:
    """What a rule changes of a job."""
    changed: dict[str, Any] = {}
    if rule.when is not None:
        changed["when"] = When(rule.when)
        changed["start_in"] = rule.start_in
    if rule.allow_failure is not None:
        changed["allow_failure"] = rule.allow_failure
        changed["allow_failure_exit_codes"] = ()
    if rule.interruptible is not None:
        changed["interruptible"] = rule.interruptible
    return changed


def _without_absent(job: JobSpec, present: set[str]) -> JobSpec:
    if job.needs is None or all(need.name in present for need in job.needs):
        return job
    return replace(job, needs=tuple(need for need in job.needs if need.name in present))
