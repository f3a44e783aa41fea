"""The fields of a project that are only stored and given back, and the parameters that set them."""

from __future__ import annotations

from typing import Any

from infra.lab.gitlab.api.parameter import Kind, Parameter, array, boolean, hash_of, integer, string, upload

_LEVELS = ("disabled", "private", "enabled")
_FEATURES = (
    "issues",
    "repository",
    "merge_requests",
    "forking",
    "wiki",
    "builds",
    "snippets",
    "analytics",
    "container_registry",
    "security_and_compliance",
    "releases",
    "environments",
    "feature_flags",
    "infrastructure",
    "monitor",
    "model_experiments",
    "model_registry",
)
_FEATURES_WITH_PUBLIC = ("package_registry", "pages")
_BOOLEANS = (
    "allow_merge_on_skipped_pipeline",
    "auto_devops_enabled",
    "autoclose_referenced_issues",
    "ci_allow_fork_pipelines_to_run_in_parent_project",
    "ci_forward_deployment_enabled",
    "ci_forward_deployment_rollback_allowed",
    "ci_push_repository_for_job_token_allowed",
    "ci_separated_caches",
    "emails_enabled",
    "enforce_auth_checks_on_uploads",
    "group_runners_enabled",
    "keep_latest_artifact",
    "lfs_enabled",
    "mr_default_target_self",
    "only_allow_merge_if_all_discussions_are_resolved",
    "only_allow_merge_if_pipeline_succeeds",
    "packages_enabled",
    "printing_merge_request_link_enabled",
    "public_jobs",
    "remove_source_branch_after_merge",
    "request_access_enabled",
    "resolve_outdated_diff_discussions",
    "restrict_user_defined_variables",
    "service_desk_enabled",
    "shared_runners_enabled",
    "show_diff_preview_in_email",
    "warn_about_potentially_unwanted_characters",
)
_INTEGERS = ("build_timeout", "ci_default_git_depth", "ci_delete_pipelines_in_seconds", "max_artifacts_size")
_STRINGS = (
    "ci_config_path",
    "issue_branch_template",
    "merge_commit_template",
    "merge_request_title_regex",
    "merge_request_title_regex_description",
    "squash_commit_template",
    "suggestion_commit_message",
)
_CHOICES = {
    "auto_cancel_pending_pipelines": ("disabled", "enabled"),
    "auto_devops_deploy_strategy": ("continuous", "manual", "timed_incremental"),
    "build_git_strategy": ("fetch", "clone"),
    "ci_pipeline_variables_minimum_override_role": ("no_one_allowed", "developer", "maintainer", "owner"),
    "merge_method": ("ff", "rebase_merge", "merge"),
    "resource_group_default_process_mode": ("unordered", "oldest_first", "newest_first", "newest_ready_first"),
    "squash_option": ("never", "always", "default_on", "default_off"),
}
SWITCHES = {
    "issues_enabled": "issues_access_level",
    "merge_requests_enabled": "merge_requests_access_level",
    "wiki_enabled": "wiki_access_level",
    "jobs_enabled": "builds_access_level",
    "snippets_enabled": "snippets_access_level",
    "container_registry_enabled": "container_registry_access_level",
}
"""Older true-or-false names of access levels."""

PARAMETERS: tuple[Parameter, ...] = (
    *(boolean(name) for name in (*_BOOLEANS, *SWITCHES, "emails_disabled", "public_builds")),
    *(integer(name) for name in _INTEGERS),
    *(string(name) for name in _STRINGS),
    *(string(name, values=values) for name, values in _CHOICES.items()),
    *(string(f"{name}_access_level", values=_LEVELS) for name in _FEATURES),
    *(string(f"{name}_access_level", values=(*_LEVELS, "public")) for name in _FEATURES_WITH_PUBLIC),
    *(array(name) for name in ("topics", "tag_list", "ci_id_token_sub_claim_components")),
    hash_of("container_expiration_policy_attributes"),
    upload("avatar"),
    string("repository_object_format", values=("sha1",)),
)

_NULLABLE = {*_STRINGS, "ci_delete_pipelines_in_seconds", "max_artifacts_size", "allow_merge_on_skipped_pipeline"}
_STORED = {parameter.name: parameter.kind for parameter in PARAMETERS if parameter.kind is not Kind.FILE}


def changed_settings(given: dict[str, Any]) -> dict[str, Any]:
    """What a request sets, by the names of `store.project.SETTING_DEFAULTS`."""
    changed: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _STORED or (value is None and name not in _NULLABLE):
            continue
        if name in SWITCHES:
            changed[SWITCHES[name]] = "enabled" if value else "disabled"
        elif name == "emails_disabled":
            changed["emails_enabled"] = not value
        elif name == "public_builds":
            changed["public_jobs"] = value
        elif name == "tag_list":
            changed["topics"] = value
        elif _STORED[name] != Kind.HASH:
            # An empty string clears a text, as it does in GitLab.
            changed[name] = None if value == "" and name in _STRINGS else value
    return changed
