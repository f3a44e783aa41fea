"""Projects as the API shows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Role, memberships, project_role, role_in_group, visible_issues
from infra.lab.gitlab.api.avatar import Owner, avatar_url
from infra.lab.gitlab.api.namespace import show_namespace
from infra.lab.gitlab.api.project_field import SWITCHES
from infra.lab.gitlab.api.route import Request
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.push import BRANCH
from infra.lab.gitlab.store.base import stamp
from infra.lab.gitlab.store.issue import Issue, IssueState
from infra.lab.gitlab.store.member import Share
from infra.lab.gitlab.store.project import SETTING_DEFAULTS, Project
from infra.lab.gitlab.store.push import KnownRef
from infra.lab.gitlab.store.user import User

_HIDDEN = ("packages_enabled", "ci_job_token_scope_enabled", "topics", "ci_config_path")
_MAINTAINER_ONLY = ("ci_config_path", "public_jobs")


def show_identity(project: Project) -> dict[str, Any]:
    """API_Entities_ProjectIdentity."""
    return {
        "id": project.id,
        "description": project.description,
        "name": project.name,
        "name_with_namespace": project.name_with_namespace,
        "path": project.path,
        "path_with_namespace": project.full_path,
        "created_at": stamp(project.created_at),
    }


def show_basic(instance: Instance, project: Project) -> dict[str, Any]:
    """API_Entities_BasicProjectDetails."""
    host = instance.settings.external_url.split("://", 1)[1].split("/")[0].split(":")[0]
    return {
        **show_identity(project),
        "default_branch": project.default_branch,
        "tag_list": project.setting("topics"),
        "topics": project.setting("topics"),
        "ssh_url_to_repo": f"git@{host}:{project.full_path}.git",
        "http_url_to_repo": instance.url(f"/{project.full_path}.git"),
        "web_url": instance.url(f"/{project.full_path}"),
        "readme_url": None,
        "forks_count": 0,
        "avatar_url": avatar_url(instance, Owner.PROJECT, project.id, project.settings),
        "star_count": 0,
        "last_activity_at": stamp(project.last_activity_at),
        "visibility": project.visibility,
        "namespace": show_namespace(instance, project.namespace),
    }


def show_project(
    request: Request, project: Project, *, permissions: bool = False, session: Session | None = None
) -> dict[str, Any]:
    """API_Entities_Project; with `permissions`, API_Entities_ProjectWithAccess. Settings are for those signed in."""
    session = session or request.session
    instance, identity = request.instance, request.identity
    shown = show_basic(instance, project)
    has_branches = session.scalars(
        select(KnownRef.ref).where(KnownRef.project_id == project.id, KnownRef.ref.startswith(BRANCH)).limit(1)
    ).first()
    links = {name: instance.url(f"/api/v4/projects/{project.id}{path}") for name, path in _LINKS.items()}
    role = project_role(session, identity, project)
    creator = session.get(User, project.namespace.owner_id) if project.namespace.owner_id else None
    shown |= {
        "container_registry_image_prefix": f"localhost/{project.full_path}",
        "_links": links,
        "marked_for_deletion_at": None,
        "marked_for_deletion_on": None,
        "packages_enabled": project.setting("packages_enabled"),
        "empty_repo": has_branches is None,
        "archived": project.archived,
        **({"owner": basic(instance, creator)} if creator else {}),
        **{name: project.setting(level) != "disabled" for name, level in SWITCHES.items()},
        **{name: project.setting(name) for name in SETTING_DEFAULTS if name not in _HIDDEN},
        "emails_disabled": not project.setting("emails_enabled"),
        "can_create_merge_request_in": role >= Role.DEVELOPER,
        "creator_id": project.creator_id,
        "import_url": None,
        "import_type": None,
        "import_status": "none",
        "import_error": None,
        "open_issues_count": _open_issues(request, session, project),
        "description_html": "",
        "updated_at": stamp(project.updated_at),
        "ci_job_token_scope_enabled": project.setting("ci_job_token_scope_enabled"),
        "ci_config_path": project.setting("ci_config_path") or "",
        "shared_with_groups": show_shares(session, Share.project_id == project.id),
    }
    if role < Role.DEVELOPER:
        for name in _MAINTAINER_ONLY:
            shown.pop(name)
    if permissions:
        shown["permissions"] = _permissions(session, request, project)
    return shown


def _open_issues(request: Request, session: Session, project: Project) -> int:
    seen = visible_issues(session, request.identity, project)
    return session.scalar(select(func.count(Issue.id)).where(seen, Issue.state == IssueState.OPENED)) or 0


_LINKS = {
    "self": "",
    "repo_branches": "/repository/branches",
    "members": "/members",
}


def show_shares(session: Session, condition: ColumnElement[bool]) -> list[dict[str, Any]]:
    """The groups that a project or group is shared with."""
    return [
        {
            "group_id": share.shared_with_id,
            "group_name": share.shared_with.name,
            "group_full_path": share.shared_with.full_path,
            "group_access_level": share.access_level,
            "expires_at": share.expires_at,
        }
        for share in session.scalars(select(Share).where(condition))
    ]


def _permissions(session: Session, request: Request, project: Project) -> dict[str, Any]:
    user = request.identity.user
    direct = memberships(session, [], project.id, user_id=user.id) if user else []
    through = role_in_group(session, user, project.namespace) if user and project.namespace.is_group else Role.NONE
    return {
        "project_access": {"access_level": direct[0].access_level, "notification_level": 3} if direct else None,
        "group_access": {"access_level": int(through), "notification_level": 3} if through else None,
    }
