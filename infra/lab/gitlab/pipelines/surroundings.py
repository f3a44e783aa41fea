"""What surrounds a pipeline: its predefined variables, and the context that its configuration is compiled for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.git_object import Commit
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.context import given, variable_layers
from infra.lab.gitlab.pipelines.permission import ref_is_protected
from infra.lab.gitlab.pipelines.predefined import (
    CommitFacts,
    RefFacts,
    commit_variables,
    merge_request_variables,
    plain,
    project_variables,
    server_variables,
    user_variables,
)
from infra.lab.gitlab.pipelines.source import ConfigPlace
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.merge_request import open_merge_requests
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User
from pipelines.language.model import Context, PipelineSource, RefType, Variable

_OPEN_NAMED = 4


def open_references(session: Session, project: Project, branch: str) -> tuple[str, ...]:
    """Open merge requests of a branch, as CI_OPEN_MERGE_REQUESTS names them."""
    found = open_merge_requests(session, project.id, source=branch)
    return tuple(each.reference for each in found[-_OPEN_NAMED:])


def pipeline_variables(
    instance: Instance, session: Session, project: Project, commit: Commit, ref: RefFacts
) -> tuple[Variable, ...]:
    """The predefined variables of a pipeline for the commit."""
    facts = CommitFacts(
        sha=commit.sha,
        message=commit.message,
        author=f"{commit.author_name} <{commit.author_email}>",
        timestamp=datetime.fromisoformat(commit.committed_date),
    )
    variables = (*_outer_variables(instance, project), *commit_variables(facts, ref))
    if ref.merge_request is None:
        return variables
    guarded = {
        name: ref_is_protected(session, project, name, tag=False)
        for name in (ref.merge_request.source_branch, ref.merge_request.target_branch)
    }
    return (*variables, *merge_request_variables(instance.settings.external_url, ref.merge_request, guarded))


def _outer_variables(instance: Instance, project: Project) -> tuple[Variable, ...]:
    url = instance.settings.external_url
    path = project.setting("ci_config_path") or ConfigPlace.of(project).path
    return (*server_variables(url), *project_variables(url, project, path))


def pipeline_context(
    session: Session,
    project: Project,
    ref: RefFacts,
    *,
    source: PipelineSource,
    user: User | None,
    predefined: Iterable[Variable],
    given_variables: Iterable[Mapping[str, Any]] = (),
    changed: Iterable[str] | None = None,
) -> Context:
    """What the configuration is compiled for. `predefined` is from `pipeline_variables`."""
    layers = variable_layers(session, project)
    return Context(
        source=source,
        ref=ref.ref,
        ref_type=RefType.TAG if ref.tag else RefType.BRANCH,
        default_branch=project.default_branch,
        protected=ref.protected,
        project_path=project.full_path,
        predefined=(*predefined, *plain([("CI_PIPELINE_SOURCE", source.value)]), *user_variables(user)),
        pipeline=given(dict(pair) for pair in given_variables),
        changed_paths=None if changed is None else frozenset(changed),
        instance=layers.instance,
        group=layers.group,
        project=layers.project,
    )


def preview_context(
    instance: Instance, session: Session, identity: Identity, project: Project, ref: str, *, tag: bool
) -> Context:
    """What would surround a pipeline for the ref, for CI lint; a ref that is not there has no commit's variables."""
    commit = Repository(instance.repositories / f"{project.id}.git").commit(ref)
    facts = RefFacts(ref=ref, tag=tag, before_sha=NO_OBJECT, protected=ref_is_protected(session, project, ref, tag=tag))
    if commit is None:
        predefined = _outer_variables(instance, project)
    else:
        predefined = pipeline_variables(instance, session, project, commit, facts)
    return pipeline_context(
        session, project, facts, source=PipelineSource.PUSH, user=identity.user, predefined=predefined
    )
