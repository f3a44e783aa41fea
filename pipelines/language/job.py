"""A job as it is written, checked key by key; what depends on the pipeline (rules, variables) is not decided yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.language.artifact import read_artifacts, read_caches
from pipelines.language.assignment import read_variables
from pipelines.language.entry import Entry
from pipelines.language.keyword import (
    read_allow_failure,
    read_coverage,
    read_environment,
    read_hooks,
    read_id_tokens,
    read_image,
    read_inherit,
    read_retry,
)
from pipelines.language.matrix import Instance, instances
from pipelines.language.model import JobSpec, Variable, When
from pipelines.language.need import NeedEntry, read_needs
from pipelines.language.policy import DEFAULT_ONLY, Policy, read_policy
from pipelines.language.rule import WEEK, Rule, read_rules

NAME_LIMIT = 255
TAG_LIMIT = 50
MONTH = 31 * 86_400
DEFAULT_STAGE = "test"

REFUSED = (
    "services",
    "release",
    "publish",
    "pages",
    "run",
    "identity",
    "secrets",
    "dast_configuration",
    "inputs",
    "trigger",
)
"""Keywords of a job that GitLab has and that are not done here."""

DEFAULT_KEYS = (
    "before_script",
    "after_script",
    "image",
    "hooks",
    "cache",
    "interruptible",
    "timeout",
    "retry",
    "tags",
    "artifacts",
    "id_tokens",
)
"""What `default` may hold and a job inherits."""

_KEYS = (
    *DEFAULT_KEYS,
    "script",
    "start_in",
    "dependencies",
    "environment",
    "coverage",
    "parallel",
    "manual_confirmation",
    "extends",
    "stage",
    "only",
    "except",
    "rules",
    "variables",
    "inherit",
    "allow_failure",
    "when",
    "needs",
    "resource_group",
)

_WARNING = (
    "may allow multiple pipelines to run for a single action due to `rules:when` clause with no `workflow:rules` - "
    "read more: https://docs.gitlab.com/ci/debugging/#pipeline-warnings"
)


@dataclass(frozen=True, kw_only=True)
class WrittenJob:
    """One job of the configuration. `template` has what no rule can change, under the written name."""

    template: JobSpec
    instances: tuple[Instance, ...]
    variables: tuple[Variable, ...]
    inherited_variables: bool | frozenset[str]
    needs: tuple[NeedEntry, ...] | None
    rules: tuple[Rule, ...] | None
    only: Policy | None
    except_: Policy | None


def is_job(name: str, value: Any) -> bool:
    """Whether GitLab takes a top-level entry for a job that runs."""
    runs = isinstance(value, dict) and bool({"script", "run", "trigger"} & value.keys())
    return not name.startswith(".") and runs


def read_job(entry: Entry, name: str, default: Mapping[str, Any], *, workflow_rules: bool) -> WrittenJob:
    """The job at `entry`, with `default` laid under it. Problems go to the entry."""
    entry.is_mapping(_KEYS, refused=REFUSED)
    _check_name(entry, name)
    default_keys, variables = read_inherit(entry.get("inherit"), DEFAULT_KEYS)
    whole = Entry(entry.where, _inherited(entry.value, default, default_keys), entry.problems)
    when = Entry(entry.where, entry.value.get("when"), entry.problems).choice(
        list(When), When.ON_SUCCESS, "when should be one of: on_success, on_failure, always, manual, delayed"
    )
    has_rules = entry.value.get("rules") is not None
    rules = read_rules(entry.get("rules"), kind="job") if has_rules else None
    if rules and not workflow_rules and rules[-1].unconditional and rules[-1].when not in (None, "never"):
        entry.problems.warnings.append(f"{entry.where} {_WARNING}")
    needs = read_needs(entry.get("needs")) if entry.get("needs").given else None
    template = _template(whole, name, When(when), has_rules)
    _check_dependencies(entry, template, needs)
    only, except_ = _policies(entry, has_rules=has_rules, workflow_rules=workflow_rules)
    return WrittenJob(
        template=template,
        instances=instances(name, entry.get("parallel")),
        variables=read_variables(entry.get("variables")),
        inherited_variables=variables,
        needs=needs,
        rules=rules,
        only=only,
        except_=except_,
    )


def _check_name(entry: Entry, name: str) -> None:
    if not name.strip():
        Entry("jobs:job", name, entry.problems).problem("name can't be blank")
    if len(name) > NAME_LIMIT:
        entry.problem(f"name is too long (maximum is {NAME_LIMIT} characters)")
    if name == "pages":
        entry.refuse()


def _inherited(job: Mapping[str, Any], default: Mapping[str, Any], keys: bool | frozenset[str]) -> dict[str, Any]:
    wanted = default if keys is True else {} if keys is False else {k: v for k, v in default.items() if k in keys}
    return {**wanted, **{key: value for key, value in job.items() if value is not None}}


def _template(entry: Entry, name: str, when: When, has_rules: bool) -> JobSpec:
    allow_failure, codes = read_allow_failure(entry.get("allow_failure"), manual=when is When.MANUAL)
    script = entry.get("script")
    if not script.value and not (entry.problems.lenient and {"trigger", "run"} & entry.value.keys()):
        entry.problem("script can't be blank")
    tags = entry.get("tags").strings()
    if len(tags) > TAG_LIMIT:
        entry.get("tags").problem(f"config must be less than the limit of {TAG_LIMIT} tags")
    return JobSpec(
        name=name,
        group=name,
        stage=entry.get("stage").string() or DEFAULT_STAGE,
        stage_index=0,
        script=script.script(),
        before_script=entry.get("before_script").script(),
        after_script=entry.get("after_script").script(),
        when=when,
        allow_failure=allow_failure,
        allow_failure_exit_codes=codes,
        start_in=_start_in(entry, when, has_rules),
        manual_confirmation=entry.get("manual_confirmation").string(),
        dependencies=_same(entry, "dependencies").strings("dependencies") if entry.get("dependencies").given else None,
        artifacts=read_artifacts(entry.get("artifacts")),
        caches=read_caches(entry.get("cache")),
        environment=read_environment(entry.get("environment")),
        retry=read_retry(entry.get("retry")),
        timeout=entry.get("timeout").seconds("config", limit=MONTH),
        interruptible=entry.get("interruptible").boolean(),
        resource_group=_same(entry, "resource_group").string("resource group"),
        tags=tags,
        image=read_image(entry.get("image")),
        id_tokens=read_id_tokens(entry.get("id_tokens")),
        coverage=read_coverage(entry.get("coverage")),
        pre_get_sources_script=read_hooks(entry.get("hooks")),
    )


def _same(entry: Entry, key: str) -> Entry:
    return Entry(entry.where, entry.value.get(key), entry.problems)


def _start_in(entry: Entry, when: When, has_rules: bool) -> int | None:
    value = entry.value.get("start_in")
    if has_rules or when is not When.DELAYED:
        if value is not None:
            entry.problem("start in must be blank")
        return None
    if value is None:
        entry.problem("start in should be a duration")
    return _same(entry, "start_in").seconds("start in", limit=WEEK)


def _check_dependencies(entry: Entry, template: JobSpec, needs: tuple[NeedEntry, ...] | None) -> None:
    if not template.dependencies or not needs:
        return
    missing = [name for name in template.dependencies if name not in {need.job for need in needs}]
    if missing:
        entry.problem(f"dependencies the {', '.join(missing)} should be part of needs")


def _policies(entry: Entry, *, has_rules: bool, workflow_rules: bool) -> tuple[Policy | None, Policy | None]:
    if has_rules:
        used = [key for key in ("only", "except", "start_in") if entry.value.get(key) is not None]
        if used:
            entry.problem("config key may not be used with `rules`: " + ", ".join(used))
        return None, None
    only, except_ = read_policy(entry.get("only")), read_policy(entry.get("except"))
    if only is None:
        return (None if workflow_rules else DEFAULT_ONLY), except_
    if not only.refs:
        only = Policy(refs=DEFAULT_ONLY.refs, variables=only.variables, changes=only.changes)
    return only, except_
