"""Which other projects' jobs may enter a project with their job token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity, Role, sees_group, sees_project
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import boolean, integer
from infra.lab.gitlab.api.project_entity import show_basic
from infra.lab.gitlab.api.route import Answer, Request, delete, get, patch, post
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.job_token_scope import JobTokenGrant
from infra.lab.gitlab.store.namespace import Namespace, NamespaceKind, Visibility, find_namespace
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.setting import settings_of

_ENABLED = "_inbound_job_token_scope"
"""A setting of the project that has an endpoint of its own; on in a new project."""


def attach(instance: Instance) -> None:
    """Guard projects against the jobs of projects that are not on their list."""
    instance.hooks.job_token_access.append(allows_job)


def allows_job(session: Session, identity: Identity, project_id: int) -> bool:
    """Whether a job may enter: its own project, a public one, one whose list names it, or one that has no list."""
    project = session.get(Project, project_id)
    source = session.get(Project, identity.job_project_id) if identity.job_project_id else None
    if project is None or source is None:
        return False
    if source.id == project.id or project.visibility == Visibility.PUBLIC or not _enabled(session, project):
        return True
    groups = [each.id for each in source.namespace.lineage()]
    grants = session.scalars(select(JobTokenGrant).where(JobTokenGrant.project_id == project.id))
    return any(grant.source_project_id == source.id or grant.source_group_id in groups for grant in grants)


def _enabled(session: Session, project: Project) -> bool:
    """Whether only those on the list may enter. The instance's setting, on in a new one, overrules the project's."""
    enforced = settings_of(session)["enforce_ci_inbound_job_token_scope_enabled"]
    return enforced or bool(project.settings.get(_ENABLED, True))


def _show(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    outbound = project.setting("ci_job_token_scope_enabled")
    return {"inbound_enabled": _enabled(request.session, project), "outbound_enabled": outbound}


def _change(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    project.settings = {**project.settings, _ENABLED: request.params["enabled"]}
    return None


def _projects(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    granted = select(JobTokenGrant.source_project_id).where(JobTokenGrant.project_id == project.id)
    others = list(request.session.scalars(select(Project).where(Project.id.in_(granted)).order_by(Project.id)))
    return paginate(request, [project, *others], lambda each: show_basic(request.instance, each))


def show_group(request: Request, group: Namespace) -> dict[str, Any]:
    """API_Entities_BasicGroupDetails."""
    url = request.instance.url(f"/groups/{group.full_path}")
    return {"id": group.id, "web_url": url, "name": group.name}


def _groups(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    granted = select(JobTokenGrant.source_group_id).where(JobTokenGrant.project_id == project.id)
    statement = select(Namespace).where(Namespace.id.in_(granted)).order_by(Namespace.id)
    return paginate(request, statement, lambda each: show_group(request, each))


def _allow_project(request: Request) -> Answer:
    project, session = request.project(Role.MAINTAINER), request.session
    source = session.get(Project, request.params["target_project_id"])
    if source is None or not sees_project(session, request.identity, source):
        raise not_found("target_project_id")
    if source.id == project.id:
        raise message(422, "422 Unprocessable Entity - Target project has already been taken")
    _grant(session, JobTokenGrant(project_id=project.id, source_project_id=source.id))
    return {"source_project_id": project.id, "target_project_id": source.id}


def _allow_group(request: Request) -> Answer:
    project, session = request.project(Role.MAINTAINER), request.session
    group = find_namespace(session, request.params["target_group_id"], kind=NamespaceKind.GROUP)
    if group is None or not sees_group(session, request.identity, group):
        raise not_found("target_group_id")
    _grant(session, JobTokenGrant(project_id=project.id, source_group_id=group.id))
    return {"source_project_id": project.id, "target_group_id": group.id}


def _grant(session: Session, grant: JobTokenGrant) -> None:
    same = select(JobTokenGrant.id).where(
        JobTokenGrant.project_id == grant.project_id,
        JobTokenGrant.source_project_id.is_(grant.source_project_id)
        if grant.source_project_id is None
        else JobTokenGrant.source_project_id == grant.source_project_id,
        JobTokenGrant.source_group_id.is_(grant.source_group_id)
        if grant.source_group_id is None
        else JobTokenGrant.source_group_id == grant.source_group_id,
    )
    if session.scalars(same).first() is not None:
        raise message(422, "422 Unprocessable Entity - This entry is already on the allowlist")
    session.add(grant)


def _remove(column: str, segment: str) -> Callable[[Request], Answer]:
    def handler(request: Request) -> Answer:
        project = request.project(Role.MAINTAINER)
        wanted = getattr(JobTokenGrant, column) == request.number(segment)
        grant = request.session.scalars(
            select(JobTokenGrant).where(JobTokenGrant.project_id == project.id, wanted)
        ).first()
        if grant is None:
            raise not_found(segment)
        request.session.delete(grant)
        return None

    return handler


ROUTES = (
    get("/projects/:id/job_token_scope", _show),
    patch("/projects/:id/job_token_scope", _change, boolean("enabled", required=True)),
    get("/projects/:id/job_token_scope/allowlist", _projects),
    post("/projects/:id/job_token_scope/allowlist", _allow_project, integer("target_project_id", required=True)),
    delete(
        "/projects/:id/job_token_scope/allowlist/:target_project_id",
        _remove("source_project_id", "target_project_id"),
    ),
    get("/projects/:id/job_token_scope/groups_allowlist", _groups),
    post("/projects/:id/job_token_scope/groups_allowlist", _allow_group, integer("target_group_id", required=True)),
    delete(
        "/projects/:id/job_token_scope/groups_allowlist/:target_group_id",
        _remove("source_group_id", "target_group_id"),
    ),
)
