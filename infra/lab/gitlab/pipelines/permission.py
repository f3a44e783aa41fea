"""Who may run something for a ref: on a protected one, those who may push or merge there (or create the tag)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity, Role, project_role
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.protection import Action, ProtectionAccess, RefKind, protections_of

_OVERRIDERS = {"developer": Role.DEVELOPER, "maintainer": Role.MAINTAINER, "owner": Role.OWNER}


def ref_is_protected(session: Session, project: Project, ref: str, *, tag: bool) -> bool:
    """Whether a rule covers the branch or tag."""
    return bool(protections_of(session, project.id, RefKind.TAG if tag else RefKind.BRANCH, ref))


def may_run(session: Session, identity: Identity, project: Project, ref: str, *, tag: bool) -> bool:
    """Whether whoever asks may start pipelines and jobs for the ref.

    A Developer anywhere; on a protected ref one of those who may change it (docs.gitlab.com/ci/pipelines,
    "Pipeline security on protected branches").
    """
    role = project_role(session, identity, project)
    if role < Role.DEVELOPER:
        return False
    rules = protections_of(session, project.id, RefKind.TAG if tag else RefKind.BRANCH, ref)
    actions = (Action.CREATE,) if tag else (Action.PUSH, Action.MERGE)
    if not rules:
        return True
    entries = [entry for rule in rules for action in actions for entry in rule.entries(action)]
    return any(_allows(entry, role, identity) for entry in entries)


def may_set_variables(session: Session, identity: Identity, project: Project) -> bool:
    """Whether whoever asks may give variables to a pipeline (`ci_pipeline_variables_minimum_override_role`)."""
    least = _OVERRIDERS.get(project.setting("ci_pipeline_variables_minimum_override_role"))
    return least is not None and project_role(session, identity, project) >= least


def _allows(entry: ProtectionAccess, role: Role, identity: Identity) -> bool:
    if entry.user_id is not None:
        return entry.user_id == identity.user_id
    level = entry.access_level or Role.NONE
    if level == Role.ADMIN:
        return identity.admin
    return level > Role.NONE and role >= level
