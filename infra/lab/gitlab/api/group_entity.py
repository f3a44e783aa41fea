"""Groups as the API shows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from infra.lab.gitlab import access
from infra.lab.gitlab.api.avatar import Owner, avatar_url
from infra.lab.gitlab.api.project_entity import ProjectView, show_shares
from infra.lab.gitlab.api.route import Request
from infra.lab.gitlab.store.base import stamp
from infra.lab.gitlab.store.member import Share
from infra.lab.gitlab.store.namespace import Namespace
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.setting import settings_of

DEFAULTS: dict[str, Any] = {
    "share_with_group_lock": False,
    "require_two_factor_authentication": False,
    "two_factor_grace_period": 48,
    "project_creation_level": "developer",
    "auto_devops_enabled": None,
    "subgroup_creation_level": "maintainer",
    "emails_enabled": True,
    "show_diff_preview_in_email": True,
    "mentions_disabled": None,
    "lfs_enabled": True,
    "default_branch": None,
    "request_access_enabled": True,
    "shared_runners_setting": "enabled",
    "math_rendering_limits_enabled": True,
    "lock_math_rendering_limits_enabled": False,
    "max_artifacts_size": None,
}
DETAIL_DEFAULTS: dict[str, Any] = {
    "enabled_git_access_protocol": None,
    "prevent_sharing_groups_outside_hierarchy": False,
}


def show_group(request: Request, group: Namespace) -> dict[str, Any]:
    """API_Entities_Group."""
    settings = {**DEFAULTS, **group.settings}
    protection = group.settings.get("default_branch_protection_defaults")
    instance_settings = settings_of(request.session)
    return {
        "id": group.id,
        "web_url": request.instance.url(f"/groups/{group.full_path}"),
        "name": group.name,
        "path": group.path,
        "description": group.description,
        "visibility": group.visibility,
        **{name: settings[name] for name in DEFAULTS},
        "emails_disabled": not settings["emails_enabled"],
        "archived": group.archived,
        "default_branch_protection": group.settings.get(
            "default_branch_protection", instance_settings["default_branch_protection"]
        ),
        "default_branch_protection_defaults": protection or instance_settings["default_branch_protection_defaults"],
        "avatar_url": avatar_url(request.instance, Owner.GROUP, group.id, group.settings),
        "full_name": group.full_name,
        "full_path": group.full_path,
        "created_at": stamp(group.created_at),
        "parent_id": group.parent_id,
        "organization_id": 1,
        "marked_for_deletion_on": None,
    }


def show_detail(request: Request, group: Namespace, *, projects: bool = True) -> dict[str, Any]:
    """API_Entities_GroupDetail."""
    settings = {**DETAIL_DEFAULTS, **group.settings}
    shown = {
        **show_group(request, group),
        "shared_with_groups": [
            {**share, "member_role_id": None} for share in show_shares(request.session, Share.group_id == group.id)
        ],
        **{name: settings[name] for name in DETAIL_DEFAULTS},
    }
    if projects:
        visible = access.visible_projects(request.session, request.identity)
        own = request.session.scalars(select(Project).where(Project.namespace_id == group.id, visible).limit(100)).all()
        shared = select(Share.project_id).where(Share.shared_with_id == group.id)
        given = request.session.scalars(select(Project).where(Project.id.in_(shared), visible).limit(100)).all()
        view = ProjectView(request)
        view.load([*own, *given])
        shown["projects"] = [view.show(each) for each in own]
        shown["shared_projects"] = [view.show(each) for each in given]
    return shown
