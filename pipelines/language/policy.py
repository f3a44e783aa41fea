"""`only` and `except`, the older way to say when a job is part of a pipeline: refs, variables and changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.language import expression
from pipelines.language.entry import Entry
from pipelines.language.model import Context, PipelineSource, RefType
from pipelines.language.pattern import PatternError, is_slashed, slashed
from pipelines.language.rule import Conditions, changes_match

_SOURCES = {
    PipelineSource.PUSH: "pushes",
    PipelineSource.WEB: "web",
    PipelineSource.API: "api",
    PipelineSource.SCHEDULE: "schedules",
    PipelineSource.MERGE_REQUEST: "merge_requests",
    PipelineSource.TRIGGER: "triggers",
}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What `only` or `except` says. Parts that it does not speak of are empty."""

    refs: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


DEFAULT_ONLY = Policy(refs=("branches", "tags"))
"""What holds for a job with neither `rules` nor `only`, in a configuration without `workflow:rules`."""


def read_policy(entry: Entry) -> Policy | None:
    """`only` or `except`; None without."""
    if not entry.given:
        return None
    if isinstance(entry.value, list):
        return Policy(refs=_refs(entry))
    if not isinstance(entry.value, dict):
        entry.problem("has to be either an array of conditions or a hash")
        return None
    entry.is_mapping(("refs", "variables", "changes"), refused=("kubernetes",))
    variables = entry.get("variables").strings()
    for text in variables:
        try:
            expression.check(text)
        except expression.ExpressionError:
            entry.problem("variables invalid expression syntax")
    return Policy(refs=_refs(entry.get("refs")), variables=variables, changes=entry.get("changes").strings())


def _refs(entry: Entry) -> tuple[str, ...]:
    if entry.value is None:
        return ()
    if not isinstance(entry.value, list) or not all(_is_ref(ref) for ref in entry.value):
        entry.problem("config should be an array of strings or regular expressions using re2 syntax")
        return ()
    return tuple(entry.value)


def _is_ref(ref: object) -> bool:
    try:
        return isinstance(ref, str) and (not is_slashed(ref) or slashed(ref) is not None)
    except PatternError:
        return False


def holds(policy: Policy, conditions: Conditions) -> list[bool]:
    """For each part that the policy speaks of, whether it is so."""
    results = []
    if policy.refs:
        results.append(_any_ref(policy.refs, conditions.context))
    if policy.variables:
        results.append(any(expression.evaluate(text, conditions.variables) for text in policy.variables))
    if policy.changes:
        results.append(changes_match(policy.changes, conditions))
    return results


def _any_ref(refs: Iterable[str], context: Context) -> bool:
    return any(_ref_matches(ref, context) for ref in refs)


def _ref_matches(wanted: str, context: Context) -> bool:
    name, _, path = (wanted, "", "") if is_slashed(wanted) else wanted.partition("@")
    if path and path != context.project_path:
        return False
    source = _SOURCES[context.source]
    if name in (source, source.removesuffix("s")):
        return True
    if context.source is PipelineSource.MERGE_REQUEST:
        return False
    if name == ("tags" if context.ref_type is RefType.TAG else "branches"):
        return True
    if is_slashed(name):
        return slashed(name).search(context.ref)
    return name == context.ref
