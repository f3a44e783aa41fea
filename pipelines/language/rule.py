"""`rules`: what one says, and which one applies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.language import expression
from pipelines.language.assignment import read_variables
from pipelines.language.entry import Entry
from pipelines.language.error import ConfigError
from pipelines.language.glob import matches_any
from pipelines.language.model import Context, Files, Missing, MissingFileError, Variable
from pipelines.language.need import NeedEntry, read_needs
from pipelines.language.variable import expand

NESTING_LIMIT = 10
GLOB_LIMIT = 50
WEEK = 7 * 86_400
JOB_WHEN = ("on_success", "on_failure", "always", "never", "manual", "delayed")
EXISTS_LIMIT = 10_000

_JOB_KEYS = ("if", "changes", "exists", "when", "start_in", "allow_failure", "variables", "needs", "interruptible")
_WORKFLOW_KEYS = ("if", "changes", "exists", "when", "variables", "auto_cancel")
_INCLUDE_KEYS = ("if", "changes", "exists", "when")


@dataclass(frozen=True, kw_only=True)
class Exists:
    """`rules:exists`."""

    paths: tuple[str, ...]
    project: str | None = None
    ref: str | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule. What it does not say is None."""

    condition: str | None = None
    changes: tuple[str, ...] | None = None
    exists: Exists | None = None
    when: str | None = None
    start_in: int | None = None
    allow_failure: bool | None = None
    variables: tuple[Variable, ...] = ()
    needs: tuple[NeedEntry, ...] | None = None
    interruptible: bool | None = None
    auto_cancel: Mapping[str, str] | None = None

    @property
    def unconditional(self) -> bool:
        """Whether it says nothing but `when`."""
        return self == Rule(when=self.when)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What rules are asked about. `place` says where paths without a project are looked up."""

    context: Context
    files: Files
    variables: Mapping[str, str]
    expanded: Mapping[str, str]
    project: str | None = None
    ref: str | None = None


def read_rules(entry: Entry, *, kind: str) -> tuple[Rule, ...]:
    """The rules of a job, a workflow or an include (`kind`). Arrays in arrays are flattened."""
    flat = entry.flat(entry.value, dict, NESTING_LIMIT)
    if flat is None:
        name = entry.where.rpartition(":")[0] or entry.where
        Entry(name, None, entry.problems).problem("rules should be an array containing hashes and arrays of hashes")
        return ()
    if not entry.value:
        entry.problem("config can't be blank")
    return tuple(_read_rule(Entry(f"{entry.where}:rule", item, entry.problems), kind) for item in flat)


def first_match(rules: tuple[Rule, ...], conditions: Conditions) -> Rule | None:
    """The first rule whose conditions all hold. Raises ConfigError for a project or ref that can't be read."""
    return next((rule for rule in rules if _matches(rule, conditions)), None)


def _matches(rule: Rule, conditions: Conditions) -> bool:
    if rule.condition is not None and not expression.evaluate(rule.condition, conditions.variables):
        return False
    if rule.changes is not None and not changes_match(rule.changes, conditions):
        return False
    return rule.exists is None or _exists(rule.exists, conditions)


def changes_match(globs: tuple[str, ...], conditions: Conditions) -> bool:
    """Whether a changed path matches; true when it is not known what changed."""
    changed = conditions.context.changed_paths
    if changed is None:
        return True
    wanted = [expand(glob, conditions.expanded, keep_missing=True) for glob in globs]
    return matches_any(wanted, changed)


def _exists(exists: Exists, conditions: Conditions) -> bool:
    project, ref = conditions.project, conditions.ref
    if exists.project is not None:
        project = expand(exists.project, conditions.expanded, keep_missing=True)
        ref = None if exists.ref is None else expand(exists.ref, conditions.expanded, keep_missing=True)
    wanted = [expand(glob, conditions.expanded, keep_missing=True) for glob in exists.paths]
    try:
        paths = conditions.files.paths(project, ref)
    except MissingFileError as error:
        if error.missing is Missing.PROJECT:
            raise ConfigError([f"rules:exists:project `{project}` is not a valid project path"]) from error
        raise ConfigError([f"rules:exists:ref `{ref}` is not a valid ref in project `{project}`"]) from error
    return matches_any(wanted, paths, EXISTS_LIMIT)


def _read_rule(entry: Entry, kind: str) -> Rule:
    keys = {"job": _JOB_KEYS, "workflow": _WORKFLOW_KEYS, "include": _INCLUDE_KEYS}[kind]
    if not entry.is_mapping(keys):
        return Rule()
    if not entry.value:
        entry.problem("config can't be blank")
    when = _when(entry, kind)
    return Rule(
        condition=_condition(entry),
        changes=_changes(entry.get("changes")),
        exists=_read_exists(entry.get("exists")),
        when=when,
        start_in=_start_in(entry, when),
        allow_failure=entry.get("allow_failure").boolean() if entry.get("allow_failure").given else None,
        variables=read_variables(entry.get("variables")),
        needs=read_needs(entry.get("needs")) if entry.get("needs").given else None,
        interruptible=entry.get("interruptible").boolean() if entry.get("interruptible").given else None,
        auto_cancel=read_auto_cancel(entry.get("auto_cancel")),
    )


def _when(entry: Entry, kind: str) -> str | None:
    when = entry.value.get("when")
    allowed = JOB_WHEN if kind == "job" else ("always", "never")
    if when is not None and when not in allowed:
        entry.problem(f"when unknown value: {when}")
        return None
    return when if isinstance(when, str) else None


def _start_in(entry: Entry, when: str | None) -> int | None:
    if when != "delayed":
        if "start_in" in entry.value:
            entry.problem("config contains disallowed keys: start_in")
        return None
    if entry.value.get("start_in") is None:
        entry.problem("start in can't be blank")
    return Entry(entry.where, entry.value.get("start_in"), entry.problems).seconds("start in", limit=WEEK)


def _condition(entry: Entry) -> str | None:
    text = entry.value.get("if")
    if text is None:
        return None
    try:
        if not isinstance(text, str):
            raise expression.ExpressionError("not a string")
        expression.check(text)
    except expression.ExpressionError:
        entry.problem("if invalid expression syntax")
        return None
    return text


def _changes(entry: Entry) -> tuple[str, ...] | None:
    if not entry.given:
        return None
    if isinstance(entry.value, dict):
        if not entry.is_mapping(("paths",), refused=("compare_to",)):
            return None
        entry = entry.get("paths")
    paths = entry.strings()
    if len(paths) > GLOB_LIMIT:
        entry.problem(f"config is too long (maximum is {GLOB_LIMIT} characters)")
    return paths


def _read_exists(entry: Entry) -> Exists | None:
    if not entry.given:
        return None
    project = ref = None
    if isinstance(entry.value, dict):
        entry.is_mapping(("paths", "project", "ref"))
        project, ref = entry.get("project").string(), entry.get("ref").string()
        if ref is not None and project is None:
            entry.problem("config missing required keys: project")
        entry = entry.get("paths")
    paths = entry.strings(single=True)
    if len(paths) > GLOB_LIMIT:
        entry.problem(f"config is too long (maximum is {GLOB_LIMIT} characters)")
    return Exists(paths=paths, project=project, ref=ref)


def read_auto_cancel(entry: Entry) -> Mapping[str, str] | None:
    """`auto_cancel` of a workflow or one of its rules."""
    if not entry.given or not entry.is_mapping(("on_new_commit", "on_job_failure")):
        return None
    found = {}
    for key, allowed in (
        ("on_new_commit", ("conservative", "interruptible", "none")),
        ("on_job_failure", ("none", "all")),
    ):
        value = entry.value.get(key)
        if value is None:
            continue
        if value not in allowed:
            entry.problem(f"{key.replace('_', ' ')} must be one of: {', '.join(allowed)}")
            continue
        found[key] = value
    return found
