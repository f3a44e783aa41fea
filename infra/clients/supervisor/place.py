"""Where the supervisor's files are in a state folder."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from infra.core.error import BadInputError

SOCKET_LIMIT = 90
"""Bytes of a socket's path: the system's limit is 107 (103 on macOS), and supervisord binds PATH.PID first."""

PRIVATE = 0o700


@dataclass(frozen=True)
class Place:
    """The paths of one instance's supervisor."""

    state: Path

    @property
    def folder(self) -> Path:
        """The supervisor's own folder."""
        return self.state / "supervisor"

    @property
    def configuration(self) -> Path:
        """supervisord's configuration file."""
        return self.folder / "supervisord.conf"

    @property
    def programs(self) -> Path:
        """One `NAME.conf` per program."""
        return self.folder / "conf.d"

    @property
    def log(self) -> Path:
        """supervisord's own log."""
        return self.folder / "supervisord.log"

    @property
    def lock(self) -> Path:
        """Held while a supervisord is started."""
        return self.folder / "start.lock"

    @property
    def marker(self) -> str:
        """The value of `FORGELINE_SUPERVISED` in the environment of all that runs here."""
        return str(self.state)

    @property
    def socket(self) -> Path:
        """The control socket: in the state folder, or under /tmp where the state folder's path is too long for one.

        The second place depends on the user and the state folder only, so that every command finds it.
        """
        near = self.folder / "supervisor.sock"
        if len(os.fsencode(near)) <= SOCKET_LIMIT:
            return near
        name = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:16]
        return Path(f"/tmp/forgeline-{os.getuid()}") / name / "supervisor.sock"  # noqa: S108 - made private, and checked

    def make(self) -> None:
        """Make the folders, mode 0700. Raises BadInputError if one of them is somebody else's."""
        for folder in (self.state, self.folder, self.programs):
            private_folder(folder)
        if self.socket.parent != self.folder:
            private_folder(self.socket.parent.parent)
            private_folder(self.socket.parent)


def private_folder(folder: Path, mode: int = PRIVATE) -> None:
    """Make the folder with this mode. Raises BadInputError if it is a link or belongs to another user."""
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise BadInputError(
            "is not a folder of this user", where=str(folder), fix="remove it, or set FORGELINE_STATE to another folder"
        )
    if stat.S_IMODE(status.st_mode) != mode:
        folder.chmod(mode)


def write_private(path: Path, content: str, mode: int = 0o600) -> None:
    """Write the file whole or not at all; it never exists with a wider mode."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
