"""One running GitLab: its settings, its database, its keys, and the hooks on which other parts hang."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.door import Door
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.base import Store

VERSION = "18.6.0"
"""The GitLab release whose behaviour this follows; what `GET /version` says, with REVISION."""

REVISION = "Forgeline's embedded stand-in"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the instance keeps its data and under which address clients reach it (no slash at the end)."""

    data: Path
    external_url: str


@dataclass(frozen=True, kw_only=True)
class Push:
    """One ref that moved, by git or by the API. `before` or `after` is forty zeros for a new or deleted ref.

    `id` is told again when the process died before all subscribers had returned: remember it to do nothing twice.
    """

    id: int
    project_id: int
    ref: str
    """In full: `refs/heads/main`, `refs/tags/v1`."""
    before: str
    after: str
    user_id: int | None
    options: tuple[str, ...] = ()
    """Push options, such as `ci.skip`."""


@dataclass
class Hooks:
    """Where other parts hang themselves on. Lists are filled before the instance starts."""

    on_push: list[Callable[[Instance, Push], None]] = field(default_factory=list)
    """Called after the ref moved, in the pusher's thread and outside any transaction; at least once a push."""
    on_start: list[Callable[[Instance], None]] = field(default_factory=list)
    """Called once when the database is there, before the first request; must return (start a thread to go on)."""
    on_stop: list[Callable[[Instance], None]] = field(default_factory=list)
    """Called when the server stops; must return within seconds."""
    job_token: list[Callable[[Session, str], Identity | None]] = field(default_factory=list)
    """Whose job token this is. The session is a reading one."""
    job_token_access: list[Callable[[Session, Identity, int], bool]] = field(default_factory=list)
    """Whether a job's identity may enter the project with this id, besides its user's role; all must agree."""
    on_project_deleted: list[Callable[[Instance, int], None]] = field(default_factory=list)
    """Called with the id of a project that is gone, to remove files of it."""


class Instance:
    """What every handler gets as `request.instance`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.hooks = Hooks()
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = _master_key(settings.data / "secret.key")
        self.repositories.mkdir(exist_ok=True)
        self.store = Store(settings.data / "gitlab.sqlite3")
        self.door = Door()
        self._noting: dict[int, threading.Lock] = {}

    @property
    def repositories(self) -> Path:
        """The folder of the bare repositories, ID.git."""
        return self.settings.data / "repositories"

    def repository(self, project_id: int) -> Repository:
        """A project's repository."""
        return Repository(self.repositories / f"{project_id}.git")

    def noting(self, project_id: int) -> threading.Lock:
        """Held while a project's refs are read and noted, so that who notes last has read last.

        Taken before the store's write lock, never inside it: git is slow, and all projects share that one.
        """
        return self._noting.setdefault(project_id, threading.Lock())

    def key(self, purpose: str) -> bytes:
        """32 bytes that only this instance knows, another for each purpose, the same after a restart."""
        return hmac.new(self._key, purpose.encode(), hashlib.sha256).digest()

    def url(self, path: str) -> str:
        """The address of a page or API path that starts with a slash."""
        return self.settings.external_url + path


def _master_key(file: Path) -> bytes:
    """The instance's key, made on first use. Written beside and linked, so that two processes get the same one."""
    if not file.exists():
        draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(secrets.token_bytes(32))
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(draft, file)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_bytes()
