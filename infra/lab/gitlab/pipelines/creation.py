"""New pipelines: read the configuration at the commit, compile it, and put pipeline and jobs into the database at once.

Git is read before the database is written to, so that nobody waits for git. What refuses a pipeline is said in
GitLab's words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.git_object import Commit
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.context import stored
from infra.lab.gitlab.pipelines.deployment import prepare_environment
from infra.lab.gitlab.pipelines.permission import may_run, may_set_variables, ref_is_protected
from infra.lab.gitlab.pipelines.predefined import RefFacts
from infra.lab.gitlab.pipelines.source import ConfigPlace, RepositoryFiles, config_source
from infra.lab.gitlab.pipelines.surroundings import open_references, pipeline_context, pipeline_variables
from infra.lab.gitlab.pipelines.transition import cancel_redundant, process
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.merge_request import MergeRequest
from infra.lab.gitlab.store.pipeline import Pipeline, next_pipeline_iid
from infra.lab.gitlab.store.project import Project
from pipelines.language.compiler import compile_pipeline
from pipelines.language.error import ConfigError
from pipelines.language.model import ConfigSource, Context, JobSpec, PipelineSource, PipelineSpec, Status

_SKIP = re.compile(r"\[(?:ci[ _-]skip|skip[ _-]ci)\]", re.IGNORECASE)


class PipelineRefusedError(Exception):
    """No pipeline was made; `messages` say why."""

    def __init__(self, *messages: str) -> None:
        super().__init__(", ".join(messages))
        self.messages = list(messages)


@dataclass(frozen=True, kw_only=True)
class PipelineRequest:
    """What to make a pipeline of. `ref` is a branch's or tag's short name; `sha` None means where it points now."""

    project_id: int
    ref: str
    identity: Identity
    source: PipelineSource
    tag: bool | None = None
    """None: whichever of branch and tag is there."""
    sha: str | None = None
    before_sha: str = NO_OBJECT
    variables: tuple[Mapping[str, Any], ...] = ()
    skip: bool = False
    """The pusher said `ci.skip`."""
    honour_skip: bool = False
    """`[skip ci]` in the commit message counts."""
    save_errors: bool = False
    """A wrong configuration makes a failed pipeline that shows what is wrong, rather than none."""
    push_id: int | None = None
    merge_request_id: int | None = None
    """The merge request that it is for; then `ref` is its source branch."""


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """All that is needed to write the pipeline down. `spec` None: it has no jobs, for `status`."""

    request: PipelineRequest
    sha: str
    ref: RefFacts
    commit: Commit
    predefined: tuple[Any, ...]
    config_uri: str | None
    spec: PipelineSpec | None
    status: Status = Status.CREATED
    yaml_errors: str | None = None


def create_pipeline(instance: Instance, request: PipelineRequest) -> int:
    """Makes the pipeline and returns its id. Raises PipelineRefusedError."""
    with instance.store.read() as session:
        plan = _plan(instance, session, request)
    with instance.store.write() as session:
        if request.push_id is not None:
            told = session.scalars(select(Pipeline).where(Pipeline.push_id == request.push_id)).first()
            if told is not None:
                return told.id
        return _write(session, plan).id


def _plan(instance: Instance, session: Session, request: PipelineRequest) -> _Plan:
    project = session.get(Project, request.project_id)
    if project is None or project.setting("builds_access_level") == "disabled":
        raise PipelineRefusedError("Pipelines are disabled!")
    repository = Repository(instance.repositories / f"{project.id}.git")
    tag, sha = _resolve(repository, request)
    if not may_run(session, request.identity, project, request.ref, tag=tag):
        raise PipelineRefusedError(
            f"You do not have sufficient permission to run a pipeline on '{request.ref}'. Please select a different "
            "branch or contact your administrator for assistance."
        )
    if request.variables and not may_set_variables(session, request.identity, project):
        raise PipelineRefusedError("Insufficient permissions to set pipeline variables")
    commit = repository.commit(sha)
    if commit is None:
        raise PipelineRefusedError("Commit not found")
    merge_request = _merge_request(session, request)
    ref = RefFacts(
        ref=request.ref,
        tag=tag,
        before_sha=request.before_sha,
        # Anybody's code runs in a merge request's pipeline, so nothing that is protected comes near it.
        protected=merge_request is None and ref_is_protected(session, project, request.ref, tag=tag),
        tag_message=_tag_message(repository, request.ref) if tag else None,
        merge_request=merge_request,
        open_merge_requests=() if tag else open_references(session, project, request.ref),
    )
    place = ConfigPlace.of(project)
    ref_path = f"refs/{'tags' if tag else 'heads'}/{request.ref}"
    plan = _Plan(
        request=request,
        sha=sha,
        ref=ref,
        commit=commit,
        predefined=pipeline_variables(instance, session, project, commit, ref),
        config_uri=place.uri(instance.settings.external_url.partition("://")[2], project, ref_path),
        spec=None,
    )
    if request.skip or (request.honour_skip and _SKIP.search(commit.message)):
        return replace(plan, status=Status.SKIPPED)
    files = RepositoryFiles(session, instance.repositories, request.identity, project, sha)
    return _compiled(plan, config_source(place, files), _context(session, repository, project, plan))


def _merge_request(session: Session, request: PipelineRequest) -> MergeRequest | None:
    if request.merge_request_id is None:
        return None
    merge_request = session.get(MergeRequest, request.merge_request_id)
    if merge_request is None:
        raise PipelineRefusedError("Merge request not found")
    return merge_request


def _compiled(plan: _Plan, source: ConfigSource | None, context: Context) -> _Plan:
    """The plan with its jobs, or with what is wrong with the configuration."""
    if source is None:
        raise PipelineRefusedError("Missing CI config file")
    try:
        spec = compile_pipeline(source, context)
    except ConfigError as error:
        if not plan.request.save_errors:
            raise PipelineRefusedError(*error.messages) from error
        return replace(plan, status=Status.FAILED, yaml_errors=", ".join(error.messages))
    if not spec.created:
        raise PipelineRefusedError(spec.reason)
    return replace(plan, spec=spec)


def _resolve(repository: Repository, request: PipelineRequest) -> tuple[bool, str]:
    branch = repository.branch(request.ref) if not request.tag else None
    label = repository.tag(request.ref) if branch is None and request.tag is not False else None
    found = branch or label
    sha = request.sha or (found.sha if found is not None else None)
    # A branch that was pushed and deleted again since still has its commit.
    if sha is None or (found is None and request.tag is None):
        raise PipelineRefusedError("Reference not found")
    return (request.tag if request.tag is not None else label is not None), sha


def _tag_message(repository: Repository, name: str) -> str:
    found = repository.tag(name)
    return found.message if found is not None else ""


def _context(session: Session, repository: Repository, project: Project, plan: _Plan) -> Context:
    request = plan.request
    return pipeline_context(
        session,
        project,
        plan.ref,
        source=request.source,
        user=request.identity.user,
        predefined=plan.predefined,
        given_variables=request.variables,
        changed=_changed_paths(repository, plan),
    )


def _changed_paths(repository: Repository, plan: _Plan) -> list[str] | None:
    """What the push changes, or the merge request since it left its target branch; None: it can't be said."""
    if plan.ref.merge_request is not None:
        base = plan.ref.merge_request.base_sha
        return repository.changed_paths(base, plan.sha) if base else None
    if plan.request.source is PipelineSource.PUSH and not plan.ref.tag:
        return repository.changed_paths(plan.request.before_sha, plan.sha)
    return None


def _write(session: Session, plan: _Plan) -> Pipeline:
    request, spec = plan.request, plan.spec
    moment = now()
    ended = plan.status is not Status.CREATED
    pipeline = Pipeline(
        iid=next_pipeline_iid(session, request.project_id),
        project_id=request.project_id,
        user_id=request.identity.user_id,
        merge_request_id=request.merge_request_id,
        ref=plan.ref.merge_request.ref_path if plan.ref.merge_request else plan.ref.ref,
        tag=plan.ref.tag,
        sha=plan.sha,
        before_sha=request.before_sha,
        source=request.source.value,
        status=plan.status,
        name=spec.name if spec else None,
        yaml_errors=plan.yaml_errors,
        failure_reason="config_error" if plan.yaml_errors else None,
        protected=plan.ref.protected,
        push_id=request.push_id,
        config_ref_uri=plan.config_uri,
        stages=list(spec.stages) if spec else [],
        commit=asdict(plan.commit),
        predefined=stored(plan.predefined),
        variables=[dict(pair) for pair in request.variables],
        auto_cancel=_auto_cancel(spec),
        finished_at=moment if ended else None,
        committed_at=datetime.fromisoformat(plan.commit.committed_date),
    )
    session.add(pipeline)
    session.flush()
    for job_spec in spec.jobs if spec else ():
        _add_job(session, pipeline, job_spec)
    if spec is not None:
        cancel_redundant(session, pipeline)
        process(session, pipeline)
    return pipeline


def _auto_cancel(spec: PipelineSpec | None) -> dict[str, Any]:
    if spec is None:
        return {}
    return {"on_new_commit": spec.auto_cancel.on_new_commit, "on_job_failure": spec.auto_cancel.on_job_failure}


def _add_job(session: Session, pipeline: Pipeline, spec: JobSpec) -> None:
    job = Job(
        pipeline_id=pipeline.id,
        project_id=pipeline.project_id,
        user_id=pipeline.user_id,
        name=spec.name,
        stage=spec.stage,
        stage_index=spec.stage_index,
        when=spec.when.value,
        allow_failure=spec.allow_failure,
        protected=pipeline.protected,
        interruptible=spec.interruptible,
        resource_group=spec.resource_group,
        tags=list(spec.tags),
        spec_json=Job.spec_of(spec),
    )
    session.add(job)
    session.flush()
    prepare_environment(session, job)
