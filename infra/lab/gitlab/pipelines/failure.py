"""Why jobs fail, in GitLab's words (app/models/concerns/enums/ci/commit_status.rb)."""

from __future__ import annotations

from enum import StrEnum


class FailureReason(StrEnum):
    """Reasons that this server sets, or that the runner sends and this server knows."""

    UNKNOWN = "unknown_failure"
    SCRIPT = "script_failure"
    API = "api_failure"
    DATA_INTEGRITY = "data_integrity_failure"
    STUCK_OR_TIMEOUT = "stuck_or_timeout_failure"
    RUNNER_SYSTEM = "runner_system_failure"
    MISSING_DEPENDENCY = "missing_dependency_failure"
    RUNNER_UNSUPPORTED = "runner_unsupported"
    STALE_SCHEDULE = "stale_schedule"
    TIMEOUT = "job_execution_timeout"
    IMAGE_PULL = "image_pull_failure"
    RUNNER_CONFIGURATION = "runner_configuration_error"
    RUNNER_EXTERNAL = "runner_external_dependency_failure"
    RUNNER_INTERRUPTED = "runner_interrupted"
    JOB_CANCELED = "job_canceled"
    TRACE_SIZE = "trace_size_exceeded"
    ENVIRONMENT_CREATION = "environment_creation_failure"
    NO_MATCHING_RUNNER = "no_matching_runner"


def known(reason: str | None) -> str:
    """The reason, or `unknown_failure` for one that this server does not know."""
    return reason if reason in frozenset(FailureReason) else FailureReason.UNKNOWN
