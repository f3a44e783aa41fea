"""Projects."""

from __future__ import annotations

from typing import Any, Literal

from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.gitlab.removal import project_gone
from infra.provider.gitlab.settings import Visibility
from infra.provider.kind import Fields, Found, Inputs, Kind, Names

Access = Literal["disabled", "private", "enabled"]


class Project(Inputs):
    """A project; its natural key is the full path."""

    path: str
    name: str | None = None
    description: str = ""
    visibility: Visibility = "private"
    ci_config_path: str | None = None
    restrict_user_defined_variables: bool | None = None
    """Whether the next field counts. On by itself from GitLab 17.10 on."""
    ci_pipeline_variables_minimum_override_role: (
        Literal["no_one_allowed", "developer", "maintainer", "owner"] | None
    ) = None
    default_branch: str | None = None
    merge_method: Literal["merge", "rebase_merge", "ff"] | None = None
    only_allow_merge_if_pipeline_succeeds: bool | None = None
    only_allow_merge_if_all_discussions_are_resolved: bool | None = None
    remove_source_branch_after_merge: bool | None = None
    shared_runners_enabled: bool | None = None
    auto_devops_enabled: bool | None = None
    keep_latest_artifact: bool | None = None
    ci_forward_deployment_enabled: bool | None = None
    build_timeout: int | None = None
    issues_access_level: Access | None = None
    wiki_access_level: Access | None = None
    builds_access_level: Access | None = None
    topics: Names | None = None
    archived: bool | None = None
    """Read-only, and out of the lists of what is worked on."""


_PLAIN = set(Project.model_fields) - {"path", "archived"}
_AFTER_FIRST_COMMIT = "default_branch"


def _computed(project: Any) -> Fields:
    return {"project_id": project.id, "web_url": project.web_url, "http_url_to_repo": project.http_url_to_repo}


def _read(connections: Connections, wanted: Project) -> Found | None:
    project = connections.gitlab().find_project(wanted.path)
    if project is None:
        return None
    fields = {
        "path": project.path_with_namespace,
        "archived": project.archived,
        **{name: getattr(project, name, None) for name in _PLAIN},
    }
    fields["description"] = fields["description"] or ""
    if fields["topics"] is not None:
        fields["topics"] = sorted(fields["topics"])
    if getattr(project, "empty_repo", False):
        # An empty repository has no default branch that could be set.
        fields[_AFTER_FIRST_COMMIT] = wanted.default_branch if wanted.model_fields_set > {"path"} else None
    return Found(fields=fields, computed=_computed(project))


def _create(connections: Connections, wanted: Project) -> Fields:
    gitlab = connections.gitlab()
    group_path, _, path = wanted.path.rpartition("/")
    group = gitlab.find_group(group_path)
    if group is None:
        raise ServerError(f"there is no group {group_path!r}", where=wanted.path, fix="declare the group first")
    given = wanted.model_dump(include=_PLAIN - {_AFTER_FIRST_COMMIT}, exclude_none=True)
    project = gitlab.api.projects.create({"name": path, **given, "path": path, "namespace_id": group.id})
    # Some settings are taken by an update only; what the answer lacks is sent once more.
    missing = {name: value for name, value in given.items() if _differs(getattr(project, name, None), value)}
    if missing:
        gitlab.api.projects.update(wanted.path, missing)
    if wanted.archived:
        project.archive()
    return _computed(project)


def _differs(actual: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return sorted(actual or []) != wanted
    return bool((actual or wanted) != wanted if wanted == "" else actual != wanted)


def _update(connections: Connections, old: Fields, wanted: Project) -> Fields:
    gitlab = connections.gitlab()
    # What is archived takes no change: it is opened first, and closed last.
    if old.get("archived") and wanted.archived is False:
        gitlab.project(wanted.path).unarchive()
    values = wanted.model_dump(include=_PLAIN, exclude_none=True)
    if _AFTER_FIRST_COMMIT in values:
        project = gitlab.find_project(wanted.path)
        if project is not None and getattr(project, "empty_repo", False):
            del values[_AFTER_FIRST_COMMIT]
    gitlab.api.projects.update(wanted.path, values)
    if wanted.archived and not old.get("archived"):
        gitlab.project(wanted.path).archive()
    return {name: old[name] for name in PROJECT.computed}


def _delete(connections: Connections, wanted: Project) -> None:
    project_gone(connections.gitlab(), wanted.path)


PROJECT = Kind(
    type_name="forgeline:gitlab:Project",
    inputs=Project,
    key=("path",),
    computed={"project_id": int, "web_url": str, "http_url_to_repo": str},
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
