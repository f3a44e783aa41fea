"""Runners as the API shows them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.api.project_entity import show_basic
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.base import stamp
from infra.lab.gitlab.store.job import WITH_RUNNER, Job
from infra.lab.gitlab.store.namespace import Namespace
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.runner import (
    Runner,
    RunnerManager,
    RunnerProject,
    RunnerStatus,
    RunnerType,
    contact_status,
)


def show_runner(instance: Instance, session: Session, runner: Runner) -> dict[str, Any]:
    """API_Entities_Ci_Runner."""
    busy = session.scalars(
        select(Job.id).where(Job.runner_id == runner.id, Job.status.in_(WITH_RUNNER)).limit(1)
    ).first()
    address = session.scalars(
        select(RunnerManager.ip_address).where(RunnerManager.runner_id == runner.id).limit(1)
    ).first()
    return {
        "id": runner.id,
        "description": runner.description,
        "ip_address": address,
        "active": not runner.paused,
        "paused": runner.paused,
        "is_shared": runner.runner_type == RunnerType.INSTANCE,
        "runner_type": runner.runner_type,
        "name": "gitlab-runner" if runner.contacted_at else None,
        "online": runner.status == RunnerStatus.ONLINE,
        "created_by": basic(instance, runner.creator) if runner.creator else None,
        "created_at": stamp(runner.created_at),
        "status": runner.status,
        "job_execution_status": "active" if busy is not None else "idle",
    }


def show_runner_details(instance: Instance, session: Session, runner: Runner) -> dict[str, Any]:
    """API_Entities_Ci_RunnerDetails."""
    managers = session.scalars(select(RunnerManager).where(RunnerManager.runner_id == runner.id)).all()
    last = max(managers, key=lambda each: each.contacted_at or each.created_at, default=None)
    projects = session.scalars(
        select(Project)
        .join(RunnerProject, RunnerProject.project_id == Project.id)
        .where(RunnerProject.runner_id == runner.id)
        .order_by(RunnerProject.id)
    )
    shown = {
        **show_runner(instance, session, runner),
        "tag_list": runner.tags,
        "run_untagged": runner.run_untagged,
        "locked": runner.locked,
        "maximum_timeout": runner.maximum_timeout,
        "access_level": runner.access_level,
        "version": last.version if last else None,
        "revision": last.revision if last else None,
        "platform": last.platform if last else None,
        "architecture": last.architecture if last else None,
        "contacted_at": stamp(runner.contacted_at),
        "maintenance_note": runner.maintenance_note,
        "projects": [show_basic(instance, project) for project in projects],
        "groups": [],
    }
    group = session.get(Namespace, runner.group_id) if runner.group_id is not None else None
    if group is not None:
        shown["groups"] = [{"id": group.id, "web_url": instance.url(f"/groups/{group.full_path}"), "name": group.name}]
    return shown


def show_manager(manager: RunnerManager) -> dict[str, Any]:
    """API_Entities_Ci_RunnerManager."""
    status = contact_status(manager.contacted_at, manager.created_at)
    return {
        "id": manager.id,
        "system_id": manager.system_id,
        "version": manager.version,
        "revision": manager.revision,
        "platform": manager.platform,
        "architecture": manager.architecture,
        "created_at": stamp(manager.created_at),
        "contacted_at": stamp(manager.contacted_at),
        "ip_address": manager.ip_address,
        "status": status,
        "job_execution_status": "idle",
    }
