"""Projects as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, false, func, or_, select
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


class ProjectView:
    """Shows projects in full. What other tables say of a whole list is asked for once: tell it with `load`."""

    def __init__(self, request: Request, session: Session | None = None) -> None:
        self._request = request
        self._session = session or request.session
        self._branched: set[int] = set()
        self._open_issues: dict[int, int] = {}
        self._shares: dict[int, list[dict[str, Any]]] = {}

    def load(self, projects: Sequence[Project]) -> None:
        """Read what is going to be shown of these projects."""
        ids, session = [project.id for project in projects], self._session
        branches = select(KnownRef.project_id).where(KnownRef.project_id.in_(ids), KnownRef.ref.startswith(BRANCH))
        self._branched = set(session.scalars(branches.distinct()))
        seen = [visible_issues(session, self._request.identity, project) for project in projects]
        issues = select(Issue.project_id, func.count()).where(or_(false(), *seen), Issue.state == IssueState.OPENED)
        self._open_issues = dict(session.execute(issues.group_by(Issue.project_id)).all())
        self._shares = {project: [] for project in ids}
        for share in session.scalars(select(Share).where(Share.project_id.in_(ids))):
            self._shares[share.project_id or 0].append(_show_share(share))

    def show(self, project: Project, *, permissions: bool = False) -> dict[str, Any]:
        """API_Entities_Project; with `permissions`, API_Entities_ProjectWithAccess."""
        request, session = self._request, self._session
        instance = request.instance
        role = project_role(session, request.identity, project)
        owner_id = project.namespace.owner_id
        creator = session.get(User, owner_id) if owner_id else None
        shown = show_basic(instance, project) | {
            "container_registry_image_prefix": f"localhost/{project.full_path}",
            "_links": {name: instance.url(f"/api/v4/projects/{project.id}{path}") for name, path in _LINKS.items()},
            "marked_for_deletion_at": None,
            "marked_for_deletion_on": None,
            "packages_enabled": project.setting("packages_enabled"),
            "empty_repo": project.id not in self._branched,
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
            "open_issues_count": self._open_issues.get(project.id, 0),
            "description_html": "",
            "updated_at": stamp(project.updated_at),
            "ci_job_token_scope_enabled": project.setting("ci_job_token_scope_enabled"),
            "ci_config_path": project.setting("ci_config_path") or "",
            "shared_with_groups": self._shares[project.id],
        }
        if role < Role.DEVELOPER:
            for name in _MAINTAINER_ONLY:
                shown.pop(name)
        if permissions:
            shown["permissions"] = _permissions(session, request, project)
        return shown


def show_project(
    request: Request, project: Project, *, permissions: bool = False, session: Session | None = None
) -> dict[str, Any]:
    """One project alone, as ProjectView shows it."""
    view = ProjectView(request, session)
    view.load([project])
    return view.show(project, permissions=permissions)


_LINKS = {
    "self": "",
    "repo_branches": "/repository/branches",
    "members": "/members",
}


def show_shares(session: Session, condition: ColumnElement[bool]) -> list[dict[str, Any]]:
    """The groups that a project or group is shared with."""
    return [_show_share(share) for share in session.scalars(select(Share).where(condition))]


def _show_share(share: Share) -> dict[str, Any]:
    return {
        "group_id": share.shared_with_id,
        "group_name": share.shared_with.name,
        "group_full_path": share.shared_with.full_path,
        "group_access_level": share.access_level,
        "expires_at": share.expires_at,
    }


def _permissions(session: Session, request: Request, project: Project) -> dict[str, Any]:
    user = request.identity.user
    direct = memberships(session, [], project.id, user_id=user.id) if user else []
    through = role_in_group(session, user, project.namespace) if user and project.namespace.is_group else Role.NONE
    return {
        "project_access": {"access_level": direct[0].access_level, "notification_level": 3} if direct else None,
        "group_access": {"access_level": int(through), "notification_level": 3} if through else None,
    }
