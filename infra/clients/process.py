"""The placement "process": makes a described server run under the supervisor, waits for it, and reads it back."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from infra.clients import port, trust
from infra.clients.openbao import OpenBao
from infra.clients.readiness import Prober
from infra.clients.request import Observer
from infra.clients.supervisor import State, Supervisor
from infra.clients.supervisor.client import tail
from infra.clients.supervisor.place import private_folder, write_private
from infra.core.error import ServerError
from infra.core.progress import Progress, Silent
from infra.core.secret import SecretRef, parse_secret
from infra.core.server import ConfigFile, Preparation, Server, placeholder
from infra.core.settings import Settings

INTERVAL = 0.15
"""Seconds between two questions to a server that is starting."""

DEATHS = 2
"""How often a process may die while it is waited for."""

PREPARATION_SECONDS = 120


class Processes:
    """Servers as processes of one state folder. Safe to use from several threads, one server in one thread."""

    def __init__(
        self,
        supervisor: Supervisor,
        openbao: OpenBao,
        *,
        progress: Progress | None = None,
        trusted: Path | None = None,
        observe: Observer | None = None,
    ) -> None:
        self.supervisor = supervisor
        self._openbao = openbao
        self._prober = Prober(openbao, trusted=trusted, observe=observe)
        self._progress = progress or Silent()

    @classmethod
    def of(cls, settings: Settings, *, progress: Progress | None = None, observe: Observer | None = None) -> Self:
        """The processes of this profile's state folder."""
        supervisor = Supervisor(settings.state, observe=observe)
        openbao = OpenBao.of(settings, observe=observe)
        return cls(supervisor, openbao, progress=progress, trusted=trust.bundle(settings), observe=observe)

    def apply(self, server: Server) -> None:
        """Make the server run as described and wait until it is of use. The same again changes nothing.

        Raises ServerError, with the end of the server's log, when it does not become ready.
        """
        self.supervisor.ensure_running()
        if self.difference(server):
            self._place(server)
        # Not part of placing: a server that starts without its credentials starts while OpenBao still does.
        self._ensure_credentials(server)
        try:
            self.wait(server)
        except ServerError:
            if not self._first_start(server) or not any(_has_content(folder) for folder in server.unfinished):
                raise
            self._progress.start(server.name, "the first start did not end well: starting anew")
            self._place(server, anew=True)
            self.wait(server)
        self._conclude(server)

    def difference(self, server: Server) -> list[str]:
        """What of the server is not as described: nothing when it runs with these files.

        Files with secrets are compared with the values that OpenBao has, if it answers.
        """
        differences = []
        program = self.supervisor.program(server.name)
        if program is None or not program.running:
            differences.append(f"state is {program.state if program else 'absent'}, not RUNNING")
        if self.supervisor.digest(server.name) != server.digest:
            differences.append("the description changed")
        for folder in server.folders:
            differences += _mode_difference(Path(folder.path), folder.mode)
        for file in server.files:
            if not file.first_start_only:
                differences += self._file_difference(file)
        return differences

    def remove(self, name: str) -> None:
        """Stop the server and forget it; its data stays."""
        self.supervisor.remove(name)

    def wait(self, server: Server) -> None:
        """Return when the server is of use. Raises ServerError when it died, or after its time."""
        deadline = time.monotonic() + server.readiness.timeout
        pids: list[int] = []
        shown = False
        while True:
            program = self.supervisor.program(server.name)
            if program is not None and program.pid and program.pid not in pids:
                pids.append(program.pid)
            if program is None or program.state in {State.FATAL, State.STOPPED} or len(pids) > DEATHS:
                raise self._failed(server, _death(program.reason if program else "", len(pids)))
            waiting = "starting" if not program.running else self._prober.ask(server.readiness)
            if not waiting:
                if shown:
                    self._progress.done(server.name, "ready")
                return
            if time.monotonic() > deadline:
                raise self._failed(server, f"is not ready after {server.readiness.timeout:.0f} s: {waiting}")
            self._progress.start(server.name, waiting)
            shown = True
            time.sleep(INTERVAL)

    def ready(self, server: Server) -> str:
        """What is wrong with the server now; nothing if it is of use. Never waits, never raises ServerError."""
        program = self.supervisor.program(server.name)
        if program is None or not program.running:
            return f"is {str(program.state).lower() if program else 'not running'}"
        try:
            return self._prober.ask(server.readiness)
        except ServerError as error:
            return error.what

    # Steps

    def _place(self, server: Server, *, anew: bool = False) -> None:
        self.supervisor.remove(server.name)
        if anew:
            for unfinished in filter(_has_content, server.unfinished):
                _set_aside(Path(unfinished))
        for listener in server.listeners:
            port.require_free(server.name, listener)
        for described in server.folders:
            private_folder(Path(described.path), described.mode)
        needed = [template for template in (*server.files, *server.preparations) if template.secrets]
        if any(isinstance(parse_secret(ref), SecretRef) for template in needed for ref in template.secrets.values()):
            self._ensure_credentials(server)
        for file in server.files:
            if not file.first_start_only or self._first_start(server):
                write_private(Path(file.path), self._fill(file), file.mode)
        for preparation in server.preparations:
            self._prepare(server, preparation)
        Path(server.log).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.supervisor.put(server)

    def _ensure_credentials(self, server: Server) -> None:
        if server.credentials:
            self._openbao.wait_ready(self._progress)
        for credential in server.credentials:
            self._openbao.ensure_generated(credential)

    def _prepare(self, server: Server, preparation: Preparation) -> None:
        result = subprocess.run(
            preparation.command,
            input=self._fill(preparation),
            env={**_base_environment(), **preparation.environment},
            cwd=server.working_folder,
            text=True,
            capture_output=True,
            timeout=PREPARATION_SECONDS,
            check=False,
        )
        if result.returncode != 0:
            raise ServerError(
                f"its preparation ended with {result.returncode}",
                where=server.name,
                detail="\n".join((result.stdout + result.stderr).splitlines()[-20:]),
                fix="read the message above, then `forgeline up`",
            )

    def _conclude(self, server: Server) -> None:
        """The first start ended well: say so on disk, and take away what only it needed."""
        if self._first_start(server):
            write_private(Path(server.started_once), datetime.now(UTC).isoformat() + "\n")
        for file in server.files:
            if file.first_start_only:
                Path(file.path).unlink(missing_ok=True)

    def _first_start(self, server: Server) -> bool:
        return bool(server.started_once) and not Path(server.started_once).exists()

    def _fill(self, template: ConfigFile | Preparation) -> str:
        content = template.content
        for name, reference in template.secrets.items():
            content = content.replace(placeholder(name), self._openbao.resolve(parse_secret(reference)).reveal())
        return content

    def _file_difference(self, file: ConfigFile) -> list[str]:
        path = Path(file.path)
        differences = _mode_difference(path, file.mode)
        if differences:
            return differences
        try:
            wanted = self._fill(file)
        except ServerError:
            return [f"{path}: its secrets can't be read"]
        same = hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(wanted.encode()).digest()
        return [] if same else [f"{path}: the content differs"]

    def _failed(self, server: Server, what: str) -> ServerError:
        return ServerError(
            what,
            where=server.name,
            detail=tail(Path(server.log)),
            fix=f"less {server.log}; then `forgeline up` goes on",
        )


def _death(reason: str, starts: int) -> str:
    if reason:
        return f"could not be started: {reason}"
    return f"died {starts} times while it was waited for" if starts > 1 else "died while it was waited for"


def _mode_difference(path: Path, mode: int) -> list[str]:
    try:
        present = stat.S_IMODE(path.lstat().st_mode)
    except FileNotFoundError:
        return [f"{path} is missing"]
    return [] if present == mode else [f"{path} has mode {present:o}, not {mode:o}"]


def _has_content(folder: str) -> bool:
    return Path(folder).is_dir() and any(Path(folder).iterdir())


def _set_aside(folder: Path) -> None:
    """Move a folder that a first start left unfinished: never delete what might be somebody's data."""
    shutil.move(folder, folder.with_name(f"{folder.name}.unfinished-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"))


def _base_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
