"""Variables: which a job gets, in what order, and how references inside values are expanded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from pipelines.language.error import ConfigError
from pipelines.language.model import Context, Environment, JobSpec, Variable
from pipelines.language.slug import environment_slug, slug

_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
_REFERENCE = re.compile(rf"\$({_NAME})|\$\{{({_NAME})\}}|%({_NAME})%")
_REFERENCE_OR_ESCAPE = re.compile(rf"\$\$|%%|{_REFERENCE.pattern}")
_VALUE_LIMIT = 1024 * 1024
"""Characters an expanded value may have, so that variables can't double each other into a bomb."""


def expand(text: str, variables: Mapping[str, str], *, keep_missing: bool = False) -> str:
    """`text` with `$NAME`, `${NAME}` and `%NAME%` replaced; a name that isn't there gives nothing, or stays.

    GitLab's server does this for names of environments and resource groups, tags, includes and `rules` paths.
    Raises ConfigError when the result gets too long.
    """
    return _replace(_REFERENCE, text, variables, keep_missing=keep_missing)


def expand_all(variables: Sequence[Variable]) -> tuple[Variable, ...]:
    """The variables with references to each other expanded, except in raw ones; `$$` and unknown names stay.

    Later ones win over earlier ones of the same name. Raises ConfigError for a circle.
    """
    latest = {variable.key: variable for variable in variables}
    needed = {
        key: [name for name in references(variable.value) if name in latest]
        for key, variable in latest.items()
        if not variable.raw and ("$" in variable.value or "%" in variable.value)
    }
    if not needed:
        return tuple(latest.values())
    try:
        order = list(TopologicalSorter(needed).static_order())
    except CycleError as error:
        names = ", ".join(f'"{name}"' for name in dict.fromkeys(error.args[1]))
        raise ConfigError([f"circular variable reference detected: [{names}]"]) from error
    values = {key: latest[key].value for key in order}
    for key in order:
        if key in needed:
            values[key] = _replace(_REFERENCE_OR_ESCAPE, values[key], values, keep_missing=True)
            latest[key] = with_value(latest[key], values[key])
    return tuple(latest.values())


def references(text: str) -> list[str]:
    """Names that `text` refers to."""
    return [name for match in _REFERENCE_OR_ESCAPE.finditer(text) if (name := _name(match))]


def with_value(variable: Variable, value: str) -> Variable:
    """`variable` with another value."""
    return Variable(
        key=variable.key,
        value=value,
        public=variable.public,
        masked=variable.masked,
        file=variable.file,
        raw=variable.raw,
        protected=variable.protected,
        environment_scope=variable.environment_scope,
    )


def merged(*layers: Iterable[Variable]) -> tuple[Variable, ...]:
    """One list without doubles: later layers win, at their own place."""
    latest: dict[str, Variable] = {}
    for layer in layers:
        for variable in layer:
            latest.pop(variable.key, None)
            latest[variable.key] = variable
    return tuple(latest.values())


def mapping(variables: Iterable[Variable]) -> dict[str, str]:
    """Names to values; later ones win."""
    return {variable.key: variable.value for variable in variables}


def layered(
    context: Context,
    configured: Iterable[Variable],
    *,
    job_predefined: Iterable[Variable] = (),
    dotenv: Iterable[Variable] = (),
    environment: str | None = None,
) -> tuple[Variable, ...]:
    """All variables in GitLab's order of precedence, lowest first, not expanded.

    `configured` are the configuration's. Protected variables, and those of another environment, are left out.
    """
    return merged(
        context.predefined,
        job_predefined,
        configured,
        dotenv,
        *(
            _visible(layer, context, environment)
            for layer in (context.instance, context.group, context.project, context.pipeline)
        ),
    )


def job_variables(
    context: Context, job: JobSpec, *, predefined: Iterable[Variable] = (), dotenv: Iterable[Variable] = ()
) -> tuple[Variable, ...]:
    """Everything the runner gets for `job`, lowest precedence first, expanded as far as the server expands.

    `predefined` are those that only exist once the job does (`CI_JOB_ID`, `CI_JOB_TOKEN`, …). The job's name, stage,
    node and environment are added here. Raises ConfigError for variables that refer to each other in a circle.
    """
    everything = layered(
        context,
        job.variables,
        job_predefined=(*job_predefined(job), *predefined),
        dotenv=dotenv,
        environment=job.environment.name if job.environment else None,
    )
    return expand_all(everything)


def job_predefined(job: JobSpec, *, with_environment: bool = True) -> tuple[Variable, ...]:
    """The predefined variables that follow from the job's own description."""
    values = {
        "CI_JOB_NAME": job.name,
        "CI_JOB_NAME_SLUG": slug(job.name),
        "CI_JOB_GROUP_NAME": job.group,
        "CI_JOB_STAGE": job.stage,
        "CI_NODE_TOTAL": str(job.parallel_total or 1),
    }
    if job.parallel_index is not None:
        values["CI_NODE_INDEX"] = str(job.parallel_index)
    if job.environment and with_environment:
        values |= _environment(job.environment)
    return tuple(Variable(key=key, value=value) for key, value in values.items())


def _environment(environment: Environment) -> dict[str, str]:
    values = {
        "CI_ENVIRONMENT_NAME": environment.name,
        "CI_ENVIRONMENT_SLUG": environment_slug(environment.name),
        "CI_ENVIRONMENT_ACTION": environment.action,
    }
    if environment.deployment_tier:
        values["CI_ENVIRONMENT_TIER"] = environment.deployment_tier
    if environment.url:
        values["CI_ENVIRONMENT_URL"] = environment.url
    return values


def _visible(layer: Iterable[Variable], context: Context, environment: str | None) -> list[Variable]:
    """Those of the layer that apply here, the most closely scoped last."""
    kept = [
        variable
        for variable in layer
        if (context.protected or not variable.protected) and scope_matches(variable.environment_scope, environment)
    ]
    return sorted(kept, key=lambda variable: len(variable.environment_scope.replace("*", "")))


def scope_matches(scope: str, environment: str | None) -> bool:
    """Whether a variable of this environment scope (`*`, `review/*`) reaches a job of the environment."""
    if scope == "*":
        return True
    if environment is None:
        return False
    first, *others = scope.split("*")
    if not others:
        return scope == environment
    *middle, last = others
    if not environment.startswith(first) or not environment[len(first) :].endswith(last):
        return False
    rest = environment[len(first) : len(environment) - len(last)]
    for part in middle:
        at = rest.find(part)
        if at < 0:
            return False
        rest = rest[at + len(part) :]
    return True


def _replace(pattern: re.Pattern[str], text: str, variables: Mapping[str, str], *, keep_missing: bool) -> str:
    length = len(text)

    def replacement(match: re.Match[str]) -> str:
        nonlocal length
        name = _name(match)
        value = match[0] if not name else variables.get(name, match[0] if keep_missing else "")
        length += len(value) - len(match[0])
        if length > _VALUE_LIMIT:
            raise ConfigError(["the value of a variable is too long once it is expanded"])
        return value

    return pattern.sub(replacement, text)


def _name(match: re.Match[str]) -> str | None:
    return match[1] or match[2] or match[3]
