"""Hangs pipelines on an instance: pushes, job tokens, the watch, and cleaning up after deleted projects."""

from __future__ import annotations

import shutil

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.push import on_push
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.pipelines.token import JobTokens
from infra.lab.gitlab.pipelines.watch import Watch
from infra.lab.gitlab.store.job import WITH_RUNNER, Job
from infra.lab.gitlab.store.user import User, UserState


def attach(instance: Instance) -> None:
    """What `app.PARTS` names."""
    tokens = JobTokens.of(instance)
    watch = Watch(instance)

    def resolve(session: Session, token: str) -> Identity | None:
        return job_identity(session, tokens, token)

    def begin(started: Instance) -> None:
        service = CiService.of(started)
        service.artifacts.sweep()
        _ = service.signing_key
        remove_orphans(started)
        watch.start()

    def end(_stopped: Instance) -> None:
        watch.stop()

    instance.hooks.job_token.append(resolve)
    instance.hooks.on_push.append(on_push)
    instance.hooks.on_start.append(begin)
    instance.hooks.on_stop.append(end)
    instance.hooks.on_project_deleted.append(lambda changed, _project_id: remove_orphans(changed))


def job_identity(session: Session, tokens: JobTokens, token: str) -> Identity | None:
    """Who shows this token: the user of a job that runs. None for another token, an ended job or a blocked user."""
    job_id = tokens.job_id(token)
    job = session.get(Job, job_id) if job_id is not None else None
    if job is None or job.status not in WITH_RUNNER or job.user_id is None:
        return None
    user = session.get(User, job.user_id)
    if user is None or user.state != UserState.ACTIVE:
        return None
    return Identity(user=user, job=job, job_project_id=job.project_id)


def remove_orphans(instance: Instance) -> None:
    """Removes logs and artifacts of jobs that the database does not know any more."""
    service = CiService.of(instance)
    with instance.store.read() as session:
        known = set(session.scalars(select(Job.id)))
    newest = max(known, default=0)  # jobs made since then are not orphans
    for folder in service.artifacts.root.glob("[0-9]*/[0-9]*"):
        if folder.name.isdecimal() and _is_orphan(int(folder.name), known, newest):
            shutil.rmtree(folder, ignore_errors=True)
    for log in service.traces.root.glob("[0-9]*/[0-9]*.log"):
        if log.stem.isdecimal() and _is_orphan(int(log.stem), known, newest):
            log.unlink(missing_ok=True)


def _is_orphan(job_id: int, known: set[int], newest: int) -> bool:
    return job_id <= newest and job_id not in known
