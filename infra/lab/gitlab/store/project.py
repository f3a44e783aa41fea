"""Projects."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from infra.lab.gitlab.store.base import Base, Identified, now
from infra.lab.gitlab.store.namespace import Namespace, Visibility

DEFAULT_BRANCH = "main"

SETTING_DEFAULTS: dict[str, Any] = {
    "topics": [],
    "resolve_outdated_diff_discussions": False,
    "repository_object_format": "sha1",
    "issues_access_level": "enabled",
    "repository_access_level": "enabled",
    "merge_requests_access_level": "enabled",
    "forking_access_level": "enabled",
    "wiki_access_level": "enabled",
    "builds_access_level": "enabled",
    "snippets_access_level": "enabled",
    "pages_access_level": "private",
    "analytics_access_level": "enabled",
    "container_registry_access_level": "enabled",
    "security_and_compliance_access_level": "private",
    "releases_access_level": "enabled",
    "environments_access_level": "enabled",
    "feature_flags_access_level": "enabled",
    "infrastructure_access_level": "enabled",
    "monitor_access_level": "enabled",
    "model_experiments_access_level": "enabled",
    "model_registry_access_level": "enabled",
    "package_registry_access_level": "enabled",
    "packages_enabled": True,
    "emails_enabled": True,
    "show_diff_preview_in_email": True,
    "service_desk_enabled": False,
    "shared_runners_enabled": True,
    "group_runners_enabled": True,
    "lfs_enabled": True,
    "mr_default_target_self": False,
    "ci_config_path": None,
    "ci_default_git_depth": 20,
    "ci_delete_pipelines_in_seconds": None,
    "ci_forward_deployment_enabled": True,
    "ci_forward_deployment_rollback_allowed": True,
    "ci_job_token_scope_enabled": False,
    "ci_separated_caches": True,
    "ci_allow_fork_pipelines_to_run_in_parent_project": True,
    "ci_id_token_sub_claim_components": ["project_path", "ref_type", "ref"],
    "build_git_strategy": "fetch",
    "keep_latest_artifact": True,
    "restrict_user_defined_variables": True,
    "ci_pipeline_variables_minimum_override_role": "developer",
    "runner_token_expiration_interval": None,
    "resource_group_default_process_mode": "unordered",
    "auto_cancel_pending_pipelines": "enabled",
    "build_timeout": 3600,
    "auto_devops_enabled": False,
    "auto_devops_deploy_strategy": "continuous",
    "ci_push_repository_for_job_token_allowed": False,
    "public_jobs": True,
    "only_allow_merge_if_pipeline_succeeds": False,
    "allow_merge_on_skipped_pipeline": None,
    "request_access_enabled": True,
    "only_allow_merge_if_all_discussions_are_resolved": False,
    "remove_source_branch_after_merge": True,
    "printing_merge_request_link_enabled": True,
    "merge_method": "merge",
    "merge_request_title_regex": None,
    "merge_request_title_regex_description": None,
    "squash_option": "default_off",
    "enforce_auth_checks_on_uploads": True,
    "suggestion_commit_message": None,
    "merge_commit_template": None,
    "squash_commit_template": None,
    "issue_branch_template": None,
    "warn_about_potentially_unwanted_characters": True,
    "autoclose_referenced_issues": True,
    "max_artifacts_size": None,
}
"""GitLab's settings of a project that are stored and given back, with the value of a new project."""


class Project(Identified, Base):
    """A project. Its repository is `repositories/ID.git` in the data folder."""

    __tablename__ = "project"

    namespace_id: Mapped[int] = mapped_column(ForeignKey("namespace.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    path: Mapped[str]
    full_path: Mapped[str] = mapped_column(String(collation="NOCASE"), unique=True)
    description: Mapped[str | None]
    visibility: Mapped[str] = mapped_column(default=Visibility.PRIVATE)
    default_branch: Mapped[str] = mapped_column(default=DEFAULT_BRANCH)
    archived: Mapped[bool] = mapped_column(default=False)
    creator_id: Mapped[int | None]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What was set of SETTING_DEFAULTS; read through `setting`."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    last_activity_at: Mapped[datetime] = mapped_column(default=now)

    namespace: Mapped[Namespace] = relationship(lazy="joined", innerjoin=True)

    def setting(self, name: str) -> Any:
        """The value of a setting in SETTING_DEFAULTS. Raises KeyError for another name."""
        default = SETTING_DEFAULTS[name]
        return self.settings.get(name, default)

    @property
    def name_with_namespace(self) -> str:
        """`Trading / Order gateway`."""
        return f"{self.namespace.full_name} / {self.name}"


def find_project(session: Session, key: str | int) -> Project | None:
    """The project with this id or full path (case does not matter)."""
    text = str(key)
    condition = Project.id == int(text) if text.isdecimal() else Project.full_path == text
    return session.scalars(select(Project).where(condition)).first()
