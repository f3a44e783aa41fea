"""The variables that surround a pipeline and its jobs: predefined ones, and those of instance, groups and project."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.pipelines.predefined import user_variables
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.variable import Variable as StoredVariable
from pipelines.language.model import Context, PipelineSource, RefType, Variable

_VARIABLES = TypeAdapter(tuple[Variable, ...])


def stored(variables: Iterable[Variable]) -> list[Any]:
    """Variables as the database keeps them."""
    kept: list[Any] = _VARIABLES.dump_python(tuple(variables), mode="json")
    return kept


def given(pairs: Iterable[dict[str, Any]]) -> tuple[Variable, ...]:
    """Variables that a person gave to a pipeline or a manual job: key, value, variable_type."""
    return tuple(
        Variable(key=pair["key"], value=pair["value"], file=pair.get("variable_type") == "file", public=False)
        for pair in pairs
    )


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Variables that are set outside the configuration; the nearest group comes last, so that it wins."""

    instance: tuple[Variable, ...]
    group: tuple[Variable, ...]
    project: tuple[Variable, ...]


def variable_layers(session: Session, project: Project) -> Layers:
    """The variables of the instance, of the project's groups and of the project."""
    groups = [each.id for each in reversed(list(project.namespace.lineage()))]
    rows = list(
        session.scalars(
            select(StoredVariable)
            .where(
                (StoredVariable.project_id == project.id)
                | StoredVariable.group_id.in_(groups)
                | (StoredVariable.project_id.is_(None) & StoredVariable.group_id.is_(None))
            )
            .order_by(StoredVariable.id)
        )
    )
    return Layers(
        instance=tuple(_variable(row) for row in rows if row.project_id is None and row.group_id is None),
        group=tuple(_variable(row) for group in groups for row in rows if row.group_id == group),
        project=tuple(_variable(row) for row in rows if row.project_id is not None),
    )


def _variable(row: StoredVariable) -> Variable:
    return Variable(
        key=row.key,
        value=row.value,
        public=False,
        masked=row.masked,
        file=row.variable_type == "file",
        raw=row.raw,
        protected=row.protected,
        environment_scope=row.environment_scope,
    )


def job_context(session: Session, job: Job) -> Context:
    """What surrounds a job, from what was kept with its pipeline and what the variables are now."""
    pipeline = job.pipeline
    project = pipeline.project
    layers = variable_layers(session, project)
    return Context(
        source=PipelineSource(pipeline.source),
        ref=pipeline.source_ref,
        ref_type=RefType.TAG if pipeline.tag else RefType.BRANCH,
        default_branch=project.default_branch,
        protected=pipeline.protected,
        project_path=project.full_path,
        predefined=(*_VARIABLES.validate_python(pipeline.predefined), *user_variables(job.user)),
        pipeline=(*given(pipeline.variables), *given(job.variables)),
        instance=layers.instance,
        group=layers.group,
        project=layers.project,
    )
