"""The instance's application settings: those that clients read or set, with the values of a lab."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped, Session, mapped_column

from infra.lab.gitlab.store.base import Base

DEFAULTS: dict[str, Any] = {
    "admin_mode": False,
    "after_sign_out_path": None,
    "after_sign_up_text": "",
    "auto_devops_enabled": False,
    "can_create_group": True,
    "container_registry_token_expire_delay": 5,
    "default_artifacts_expire_in": "30 days",
    "default_branch_name": None,
    "default_branch_protection": 2,
    "default_branch_protection_defaults": {
        "allowed_to_push": [{"access_level": 40}],
        "allow_force_push": False,
        "allowed_to_merge": [{"access_level": 40}],
        "developer_can_initial_push": False,
    },
    "default_ci_config_path": None,
    "default_group_visibility": "private",
    "default_project_creation": 2,
    "default_project_visibility": "private",
    "default_projects_limit": 100_000,
    "default_snippet_visibility": "private",
    "enabled_git_access_protocol": "http",
    "enforce_ci_inbound_job_token_scope_enabled": True,
    "gravatar_enabled": False,
    "home_page_url": None,
    "keep_latest_artifact": True,
    "outbound_local_requests_whitelist": [],
    "max_artifacts_size": 100,
    "max_attachment_size": 100,
    "password_authentication_enabled_for_git": True,
    "password_authentication_enabled_for_web": True,
    "require_two_factor_authentication": False,
    "restricted_visibility_levels": [],
    "session_expire_delay": 10_080,
    "shared_runners_enabled": True,
    "shared_runners_text": None,
    "signup_enabled": False,
    "user_default_external": False,
}


class ApplicationSetting(Base):
    """One setting that was changed from its default."""

    __tablename__ = "application_setting"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]
    """`{"value": …}`, because SQL cannot tell JSON's null from its own."""


def settings_of(session: Session) -> dict[str, Any]:
    """All settings by name."""
    changed = {each.name: each.value["value"] for each in session.query(ApplicationSetting)}
    return {**DEFAULTS, **changed}
