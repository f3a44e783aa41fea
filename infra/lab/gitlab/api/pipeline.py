"""Pipelines."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import selectinload
from starlette.background import BackgroundTask
from starlette.responses import Response as RawResponse

from infra.lab.gitlab.access import Role, project_role
from infra.lab.gitlab.api.ci_entity import JobView, show_pipeline, show_pipeline_basic, show_pipeline_named
from infra.lab.gitlab.api.error import forbidden, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import anything, array, boolean, hash_of, hashes, moment, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Response, Route, Transaction, delete, get, post, put
from infra.lab.gitlab.pipelines.artifact import delete_files, forget
from infra.lab.gitlab.pipelines.attempt import retry_pipeline
from infra.lab.gitlab.pipelines.creation import PipelineRefusedError, PipelineRequest, create_pipeline
from infra.lab.gitlab.pipelines.permission import may_run
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.pipelines.test_report import pipeline_report, pipeline_summary
from infra.lab.gitlab.pipelines.transition import cancel_pipeline
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.job import Job
from infra.lab.gitlab.store.namespace import Visibility
from infra.lab.gitlab.store.pipeline import FINISHED, Pipeline
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User
from pipelines.language.model import PipelineSource, Status

STATUSES = tuple(status.value for status in Status)
_ALL_STATUSES = (*STATUSES, "waiting_for_callback")
_SOURCES = (
    *(source.value for source in PipelineSource),
    *("unknown", "external", "pipeline", "chat", "webide", "external_pull_request_event", "parent_pipeline"),
    *("ondemand_dast_scan", "ondemand_dast_validation", "security_orchestration_policy", "container_registry_push"),
    *("duo_workflow", "pipeline_execution_policy_schedule"),
)
_ORDERS = {
    "id": Pipeline.id,
    "status": Pipeline.status,
    "ref": Pipeline.ref,
    "updated_at": Pipeline.updated_at,
    "user_id": Pipeline.user_id,
}
_SCOPES = {
    "running": Pipeline.status == Status.RUNNING,
    "pending": Pipeline.status == Status.PENDING,
    "finished": Pipeline.status.in_(FINISHED),
    "branches": Pipeline.tag.is_(False),
    "tags": Pipeline.tag.is_(True),
}


def readable_project(request: Request) -> Project:
    """The project of `:id`, whose pipelines may be read by whoever asks; else 403 (404 when unseen)."""
    project = request.project()
    role = project_role(request.session, request.identity, project)
    if role >= Role.REPORTER:
        return project
    if project.setting("public_jobs") and (project.visibility != Visibility.PRIVATE or role >= Role.GUEST):
        return project
    raise forbidden()


def find_pipeline(request: Request, project: Project) -> Pipeline:
    """The project's pipeline of `:pipeline_id`. 404 when there is none."""
    pipeline = request.session.get(Pipeline, request.number("pipeline_id"))
    if pipeline is None or pipeline.project_id != project.id:
        raise not_found()
    return pipeline


def runnable_pipeline(request: Request) -> Pipeline:
    """The pipeline of `:pipeline_id`, whose jobs whoever asks may start and stop; else 403."""
    project = request.project(Role.DEVELOPER)
    pipeline = find_pipeline(request, project)
    if not may_run(request.session, request.identity, project, pipeline.source_ref, tag=pipeline.tag):
        raise forbidden()
    return pipeline


def _list(request: Request) -> Answer:
    project = readable_project(request)
    statement = _filtered(select(Pipeline).where(Pipeline.project_id == project.id), request.params)
    column = _ORDERS[request.params["order_by"]]
    ascending = request.params["sort"] == "asc"
    statement = statement.order_by(column.asc() if ascending else column.desc(), Pipeline.id.desc())
    return paginate(request, statement, lambda each: show_pipeline_basic(request.instance, each))


def _filtered(statement: Select[Pipeline], params: dict[str, Any]) -> Select[Pipeline]:
    for name in ("status", "ref", "sha", "source", "name"):
        if params.get(name) is not None:
            statement = statement.where(getattr(Pipeline, name) == params[name])
    for name in ("updated", "created"):
        column = getattr(Pipeline, f"{name}_at")
        if params.get(f"{name}_after") is not None:
            statement = statement.where(column > params[f"{name}_after"])
        if params.get(f"{name}_before") is not None:
            statement = statement.where(column < params[f"{name}_before"])
    if params.get("scope") is not None:
        statement = statement.where(_SCOPES[params["scope"]])
    if params.get("yaml_errors") is not None:
        wrong = Pipeline.yaml_errors.is_not(None)
        statement = statement.where(wrong if params["yaml_errors"] else ~wrong)
    if params.get("username") is not None:
        users = select(User.id).where(User.username == params["username"])
        statement = statement.where(Pipeline.user_id.in_(users))
    return statement


def _create(request: Request) -> Answer:
    with request.instance.store.read() as session:
        project = request.project(Role.DEVELOPER, session=session)
    variables = tuple(
        {"key": each["key"], "value": each.get("value") or "", "variable_type": each.get("variable_type", "env_var")}
        for each in request.params.get("variables") or []
    )
    if request.params.get("inputs"):
        raise message(400, {"base": ["The keyword `spec:inputs` is not part of the embedded GitLab"]})
    wanted = PipelineRequest(
        project_id=project.id,
        ref=request.params["ref"],
        identity=request.identity,
        source=PipelineSource.API,
        variables=variables,
    )
    try:
        pipeline_id = create_pipeline(request.instance, wanted)
    except PipelineRefusedError as error:
        raise message(400, {"base": error.messages}) from error
    with request.instance.store.read() as session:
        return show_pipeline(request.instance, session, session.get_one(Pipeline, pipeline_id))


def _latest(request: Request) -> Answer:
    project = readable_project(request)
    ref = request.params.get("ref") or project.default_branch
    head = Repository(request.instance.repositories / f"{project.id}.git").resolve(ref)
    statement = select(Pipeline).where(Pipeline.project_id == project.id, Pipeline.ref == ref, Pipeline.sha == head)
    pipeline = request.session.scalars(statement.order_by(Pipeline.id.desc()).limit(1)).first()
    if pipeline is None:
        # GitLab says 403 where there is none: `authorize! :read_pipeline, nil`.
        raise forbidden()
    return show_pipeline_named(request.instance, request.session, pipeline)


def _show(request: Request) -> Answer:
    pipeline = find_pipeline(request, readable_project(request))
    return show_pipeline_named(request.instance, request.session, pipeline)


def _delete(request: Request) -> Answer:
    pipeline = find_pipeline(request, request.project(Role.OWNER))
    jobs = list(request.session.scalars(select(Job).where(Job.pipeline_id == pipeline.id)))
    paths = [path for job in jobs for path in forget(request.instance, request.session, job)]
    logs = [CiService.of(request.instance).traces.path(job.id) for job in jobs]
    request.session.delete(pipeline)
    # After the answer, and so after the commit: files of a pipeline that is still there are never removed.
    return RawResponse(status_code=204, background=BackgroundTask(delete_files, [*paths, *logs]))


def _rename(request: Request) -> Answer:
    pipeline = find_pipeline(request, request.project(Role.DEVELOPER))
    pipeline.name = request.params["name"][:255]
    return show_pipeline_named(request.instance, request.session, pipeline)


def _retry(request: Request) -> Answer:
    pipeline = runnable_pipeline(request)
    retry_pipeline(request.session, pipeline, request.user.id)
    return show_pipeline(request.instance, request.session, pipeline)


def _cancel(request: Request) -> Answer:
    pipeline = runnable_pipeline(request)
    cancel_pipeline(request.session, pipeline)
    return show_pipeline(request.instance, request.session, pipeline)


def _jobs(request: Request) -> Answer:
    pipeline = find_pipeline(request, readable_project(request))
    statement = select(Job).where(Job.pipeline_id == pipeline.id)
    if not request.params["include_retried"]:
        statement = statement.where(Job.retried.is_(False))
    return list_jobs(request, statement)


def list_jobs(request: Request, statement: Select[Job]) -> Response:
    """A page of jobs, newest first, filtered by `scope`."""
    if request.params.get("scope"):
        statement = statement.where(Job.status.in_(request.params["scope"]))
    view = JobView(request.instance, request.session)
    ordered = statement.order_by(Job.id.desc()).options(selectinload(Job.pipeline))
    return paginate(request, ordered, view.show, load=view.load)


def _bridges(request: Request) -> Answer:
    find_pipeline(request, readable_project(request))
    return paginate(request, [], lambda each: each)


def _variables(request: Request) -> Answer:
    """For whoever started it, and for maintainers (GitLab's app/policies/ci/pipeline_policy.rb)."""
    pipeline = find_pipeline(request, request.project(Role.DEVELOPER))
    if pipeline.user_id != request.user.id:
        request.project(Role.MAINTAINER)
    return [
        {
            "variable_type": each.get("variable_type", "env_var"),
            "key": each["key"],
            "value": each["value"],
            "raw": False,
        }
        for each in pipeline.variables
    ]


def _test_report(request: Request) -> Answer:
    pipeline = find_pipeline(request, readable_project(request))
    return pipeline_report(request.instance, request.session, pipeline)


def _test_summary(request: Request) -> Answer:
    pipeline = find_pipeline(request, readable_project(request))
    return pipeline_summary(request.instance, request.session, pipeline)


_ONE = "/projects/:id/pipelines/:pipeline_id"
_SCOPE = array("scope", values=_ALL_STATUSES)

ROUTES: tuple[Route, ...] = (
    get(
        "/projects/:id/pipelines",
        _list,
        string("scope", values=tuple(_SCOPES)),
        string("status", values=_ALL_STATUSES),
        string("ref"),
        string("sha"),
        boolean("yaml_errors"),
        string("username"),
        moment("updated_before"),
        moment("updated_after"),
        moment("created_before"),
        moment("created_after"),
        string("order_by", values=tuple(_ORDERS), default="id"),
        string("sort", values=("asc", "desc"), default="desc"),
        string("source", values=_SOURCES),
        string("name"),
        entry=Entry.ANYONE,
    ),
    post(
        "/projects/:id/pipeline",
        _create,
        string("ref", required=True),
        hashes(
            "variables",
            string("key", required=True),
            string("value"),
            string("variable_type", values=("env_var", "file"), default="env_var"),
        ),
        hash_of("inputs"),
        transaction=Transaction.OWN,
    ),
    get("/projects/:id/pipelines/latest", _latest, string("ref"), entry=Entry.ANYONE),
    get(_ONE, _show, entry=Entry.ANYONE),
    delete(_ONE, _delete),
    put(f"{_ONE}/metadata", _rename, string("name", required=True), job_token=True),
    post(f"{_ONE}/retry", _retry),
    post(f"{_ONE}/cancel", _cancel),
    get(
        f"{_ONE}/jobs",
        _jobs,
        boolean("include_retried", default=False),
        _SCOPE,
        entry=Entry.ANYONE,
        job_token=True,
    ),
    get(f"{_ONE}/bridges", _bridges, _SCOPE, anything("include_retried"), entry=Entry.ANYONE),
    get(f"{_ONE}/variables", _variables),
    get(f"{_ONE}/test_report", _test_report, entry=Entry.ANYONE),
    get(f"{_ONE}/test_report_summary", _test_summary, entry=Entry.ANYONE),
)
