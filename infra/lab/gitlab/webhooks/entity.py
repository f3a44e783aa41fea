"""Parts that the bodies of several webhooks share, as GitLab's documentation, "Webhook events", shows them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from infra.lab.gitlab.api.avatar import Owner, avatar_url
from infra.lab.gitlab.git_object import Commit
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.namespace import Visibility
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.user import User

_VISIBILITY = {Visibility.PRIVATE: 0, Visibility.INTERNAL: 10, Visibility.PUBLIC: 20}
_SHORT = ("name", "url", "description", "homepage", "git_http_url", "git_ssh_url", "visibility_level")


def project_data(instance: Instance, project: Project) -> dict[str, Any]:
    """The project, with names that newer and older receivers read."""
    host = re.sub(r"^\w+://|[:/].*$", "", instance.settings.external_url)
    web = instance.url(f"/{project.full_path}")
    http, ssh = f"{web}.git", f"git@{host}:{project.full_path}.git"
    return {
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "web_url": web,
        "avatar_url": avatar_url(instance, Owner.PROJECT, project.id, project.settings),
        "git_ssh_url": ssh,
        "git_http_url": http,
        "namespace": project.namespace.name,
        "visibility_level": _VISIBILITY[Visibility(project.visibility)],
        "path_with_namespace": project.full_path,
        "default_branch": project.default_branch,
        "ci_config_path": project.setting("ci_config_path"),
        "homepage": web,
        "url": ssh,
        "ssh_url": ssh,
        "http_url": http,
    }


def repository_data(project: dict[str, Any]) -> dict[str, Any]:
    """Of a project's data what was there first; still sent."""
    return {name: project[name] for name in _SHORT}


def user_data(instance: Instance, user: User | None) -> dict[str, Any] | None:
    """Who did it. GitLab hides an address that a user has not made public."""
    if user is None:
        return None
    avatar = avatar_url(instance, Owner.USER, user.id, user.profile)
    return {
        "id": user.id,
        "name": user.name,
        "username": user.username,
        "avatar_url": avatar,
        "email": user.profile.get("public_email") or "[REDACTED]",
    }


def commit_data(instance: Instance, project: Project, commit: Commit) -> dict[str, Any]:
    """A commit."""
    return {
        "id": commit.sha,
        "message": commit.message,
        "title": commit.title,
        "timestamp": commit.committed_date,
        "url": instance.url(f"/{project.full_path}/-/commit/{commit.sha}"),
        "author": {"name": commit.author_name, "email": commit.author_email},
    }


def moment(time: datetime | None) -> str | None:
    """As the examples of the documentation have it: `2016-08-12 15:23:28 UTC`."""
    return None if time is None else time.strftime("%Y-%m-%d %H:%M:%S UTC")


def seconds(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from one moment to another; None where one of them is still to come."""
    return None if start is None or end is None else (end - start).total_seconds()


def whole_seconds(figure: float | None) -> int | None:
    """Rounded."""
    return None if figure is None else round(figure)
