"""All rules, listed by hand in the order in which a person would want to know."""

from __future__ import annotations

from typing import Final

from pipelines.rules import artifact, document, gate, job, need, pin, production, secret, shell, work
from pipelines.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    document.file_is_yaml,
    document.file_follows_the_schema,
    document.gitlab_takes_the_file,
    document.includes_are_read,
    job.stages_are_declared,
    job.jobs_do_something,
    job.bases_exist,
    job.environments_can_be_stopped,
    job.environments_are_named,
    job.timeouts_are_durations,
    job.rules_parse,
    need.needs_exist,
    need.needs_are_not_later,
    need.needs_go_one_way,
    need.needs_are_there_together,
    artifact.dependencies_exist,
    artifact.taken_artifacts_are_made,
    artifact.dotenv_files_are_written,
    shell.nothing_fetched_is_run_unchecked,
    pin.images_are_pinned,
    pin.includes_are_pinned,
    pin.tools_are_pinned,
    secret.no_secret_is_written_down,
    production.production_waits_for_a_person,
    gate.gates_are_there,
    gate.gates_run_on_every_occasion,
    gate.gates_have_no_conditions,
    gate.gates_may_not_fail,
    gate.gates_run_by_themselves,
    gate.approvals_are_given_by_people,
    gate.rules_loosen_nothing,
    work.gates_do_their_work,
    work.coverage_has_a_floor,
    work.gates_hide_no_failure,
    work.tools_keep_their_teeth,
    work.gates_leave_their_reports,
    production.production_passes_every_gate,
    production.artifacts_pass_every_gate,
    production.environments_come_in_order,
    production.what_is_deployed_was_published,
    production.unprotected_refs_release_nothing,
    production.only_releases_reach_production,
    production.deployments_are_not_disturbed,
    production.production_is_verified,
)
"""Rules that look at one file by itself."""

SHELL_RULES: Final[tuple[Rule, ...]] = (shell.scripts_are_bash, shell.scripts_pass_shellcheck)
"""Rules that ask a program, which is slow to start: they are asked about many files at once."""

ALL_RULES: Final = (*RULES, *SHELL_RULES)
