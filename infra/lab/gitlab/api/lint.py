"""CI lint: what is wrong with a configuration, and its merged form."""

from __future__ import annotations

from typing import Any

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import forbidden, not_found
from infra.lab.gitlab.api.parameter import boolean, string
from infra.lab.gitlab.api.route import Answer, Request, Response, Route, get, post
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.permission import may_run
from infra.lab.gitlab.pipelines.source import ConfigPlace, RepositoryFiles, config_source
from infra.lab.gitlab.pipelines.surroundings import preview_context
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.project import Project
from pipelines.language.compiler import lint
from pipelines.language.model import ConfigSource, IncludeRef, JobSpec, LintResult

_NO_CONTENT = "Please provide content of .gitlab-ci.yml"


def _content(request: Request) -> Answer:
    project = request.project(Role.DEVELOPER)
    repository = Repository(request.instance.repositories / f"{project.id}.git")
    sha = repository.resolve(project.default_branch) or ""
    files = RepositoryFiles(request.session, request.instance.repositories, request.identity, project, sha)
    source = ConfigSource(text=request.params["content"], files=files)
    result = _result(request, project, source, request.params.get("ref"))
    return Response(_shown(request, project, sha, result), status=200)


def _committed(request: Request) -> Answer:
    project = request.code()
    repository = Repository(request.instance.repositories / f"{project.id}.git")
    wanted = request.params.get("content_ref") or request.params.get("sha") or project.default_branch
    sha = repository.resolve(wanted)
    if sha is None:
        raise not_found("Commit")
    files = RepositoryFiles(request.session, request.instance.repositories, request.identity, project, sha)
    source = config_source(ConfigPlace.of(project), files)
    if source is None:
        return _shown(request, project, sha, LintResult(valid=False, errors=(_NO_CONTENT,)))
    ref = request.params.get("dry_run_ref") or request.params.get("ref")
    return _shown(request, project, sha, _result(request, project, source, ref))


def _result(request: Request, project: Project, source: ConfigSource, ref: str | None) -> LintResult:
    dry_run = bool(request.params.get("dry_run"))
    repository = Repository(request.instance.repositories / f"{project.id}.git")
    name = ref or project.default_branch
    tag = repository.branch(name) is None and repository.tag(name) is not None
    if dry_run and not may_run(request.session, request.identity, project, name, tag=tag):
        raise forbidden()
    if dry_run and repository.resolve(name) is None:
        return LintResult(valid=False, errors=("Reference not found",))
    context = preview_context(request.instance, request.session, request.identity, project, name, tag=tag)
    return lint(source, context, dry_run=dry_run)


def _shown(request: Request, project: Project, sha: str, result: LintResult) -> dict[str, Any]:
    shown = {
        "valid": result.valid,
        "errors": list(result.errors),
        "warnings": list(result.warnings),
        "merged_yaml": result.merged_yaml or None,
        "includes": [_include(request.instance, project, sha, each) for each in result.includes],
    }
    if request.params.get("include_jobs"):
        shown["jobs"] = [_job(job) for job in result.jobs]
    return shown


def _include(instance: Instance, project: Project, sha: str, include: IncludeRef) -> dict[str, Any]:
    place = include.project or project.full_path
    revision = include.ref or (sha if include.project is None else "HEAD")
    extra = {"project": include.project, "ref": include.ref} if include.project else {}
    return {
        "type": "file" if include.project else "local",
        "location": include.path,
        "blob": instance.url(f"/{place}/-/blob/{revision}/{include.path}"),
        "raw": instance.url(f"/{place}/-/raw/{revision}/{include.path}"),
        "extra": extra,
        "context_project": project.full_path,
        "context_sha": sha or None,
    }


def _job(job: JobSpec) -> dict[str, Any]:
    return {
        "name": job.name,
        "stage": job.stage,
        "before_script": list(job.before_script),
        "script": list(job.script),
        "after_script": list(job.after_script),
        "tag_list": list(job.tags),
        "only": None,
        "except": None,
        "environment": job.environment.name if job.environment else None,
        "when": job.when.value,
        "allow_failure": job.allow_failure,
        "needs": None if job.needs is None else [{"name": need.name} for need in job.needs],
    }


ROUTES: tuple[Route, ...] = (
    get(
        "/projects/:id/ci/lint",
        _committed,
        string("sha"),
        string("content_ref"),
        boolean("dry_run", default=False),
        boolean("include_jobs"),
        string("ref"),
        string("dry_run_ref"),
    ),
    post(
        "/projects/:id/ci/lint",
        _content,
        string("content", required=True),
        boolean("dry_run", default=False),
        boolean("include_jobs"),
        string("ref"),
    ),
)
