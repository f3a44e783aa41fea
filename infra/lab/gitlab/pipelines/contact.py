"""Runners as they show themselves: by token and system id, with a heartbeat that is written once a minute at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.runner import Runner, RunnerManager, RunnerProject, RunnerType
from infra.lab.gitlab.store.token import digest_of

HEARTBEAT = timedelta(seconds=60)
_UNKNOWN_SYSTEM = "<legacy>"  # GitLab's name for a runner that says none
_TEXT_LIMIT = 255


@dataclass(frozen=True, kw_only=True)
class Greeting:
    """What a runner says about itself in every request."""

    token: str = field(repr=False)
    system_id: str
    info: Mapping[str, Any]
    address: str = "127.0.0.1"

    @classmethod
    def read(cls, params: Mapping[str, Any]) -> Greeting:
        """From the body of a request."""
        info = params.get("info")
        return cls(
            token=params.get("token") or "",
            system_id=params.get("system_id") or _UNKNOWN_SYSTEM,
            info=info if isinstance(info, dict) else {},
        )

    @property
    def digest(self) -> str:
        """What is stored of the token."""
        return digest_of(self.token)

    def text(self, name: str) -> str | None:
        """A field of `info`, cut to a sane length."""
        value = self.info.get(name)
        return value[:_TEXT_LIMIT] if isinstance(value, str) else None

    @property
    def cancels_gracefully(self) -> bool:
        """Whether the runner runs `after_script` of a job that is being canceled."""
        features = self.info.get("features")
        return isinstance(features, dict) and features.get("cancel_gracefully") is True


def find_runner(session: Session, token: str) -> Runner | None:
    """The runner that this token belongs to."""
    return session.scalars(select(Runner).where(Runner.digest == digest_of(token))).first() if token else None


def orphaned(session: Session, runner: Runner) -> bool:
    """Whether the runner has lost its last project."""
    if runner.runner_type != RunnerType.PROJECT:
        return False
    return session.scalars(select(RunnerProject.id).where(RunnerProject.runner_id == runner.id)).first() is None


def find_manager(session: Session, runner: Runner, system_id: str) -> RunnerManager | None:
    """The runner's process with this system id."""
    statement = select(RunnerManager).where(RunnerManager.runner_id == runner.id, RunnerManager.system_id == system_id)
    return session.scalars(statement).first()


def heartbeat_due(session: Session, runner: Runner, greeting: Greeting) -> bool:
    """Whether the contact has to be written down."""
    manager = find_manager(session, runner, greeting.system_id)
    if manager is None or manager.contacted_at is None or manager.version != greeting.text("version"):
        return True
    return now() - manager.contacted_at > HEARTBEAT


def heartbeat(session: Session, runner: Runner, greeting: Greeting) -> RunnerManager:
    """Writes the contact down, with what the runner says about itself."""
    manager = find_manager(session, runner, greeting.system_id)
    if manager is None:
        manager = RunnerManager(runner_id=runner.id, system_id=greeting.system_id)
        session.add(manager)
    moment = now()
    runner.contacted_at = manager.contacted_at = moment
    manager.ip_address = greeting.address
    if greeting.info:
        manager.version = greeting.text("version")
        manager.revision = greeting.text("revision")
        manager.platform = greeting.text("platform")
        manager.architecture = greeting.text("architecture")
        manager.executor = greeting.text("executor")
        manager.graceful = greeting.cancels_gracefully
    session.flush()
    return manager
