"""Programs that the toolchain starts: each in a process group of its own, so that an end of the run ends them all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.core.error import ToolError

LAST_LINES = 15
"""How many lines of a failed program's output an error shows."""

_CREDENTIALS = re.compile(r"//[^/@\s]+@")


class StoppedError(ToolError):
    """The run is being ended; what was under way is given up."""

    def __init__(self) -> None:
        super().__init__("stopped")


class Commands:
    """The programs of one run. Safe to use from several threads."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether `stop` has been called."""
        return self._stopped.is_set()

    def check(self) -> None:
        """Raises StoppedError once `stop` has been called."""
        if self.stopped:
            raise StoppedError

    def run(
        self, argv: Sequence[str], *, environ: Mapping[str, str], log: Path, cwd: Path | None = None, timeout: float
    ) -> None:
        """Run a program to its end, its output going to the end of `log`. `timeout` is in seconds.

        Raises ToolError, with the last lines of the output, if it fails or takes too long, and StoppedError after
        `stop`.
        """
        with log.open("ab") as output:
            process = self._start(argv, environ, cwd, output.fileno())
        try:
            self._wait(process, argv[0], timeout, log)
        finally:
            end_group(process)
            with self._lock:
                self._running.discard(process)
        self.check()
        if process.returncode != 0:
            raise ToolError(
                f"{Path(argv[0]).name} {argv[1] if len(argv) > 1 else ''} failed (exit code {process.returncode})",
                detail=last_lines(log),
            )

    def stop(self) -> None:
        """End every program that runs, and let none start any more."""
        self._stopped.set()
        with self._lock:
            running = list(self._running)
        for process in running:
            end_group(process)

    def _start(
        self, argv: Sequence[str], environ: Mapping[str, str], cwd: Path | None, output: int
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            self.check()
            try:
                process = subprocess.Popen(
                    list(argv),
                    env=dict(environ),
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                raise ToolError(f"{argv[0]} can't be started: {error.strerror}") from error
            self._running.add(process)
        return process

    @staticmethod
    def _wait(process: subprocess.Popen[bytes], name: str, timeout: float, log: Path) -> None:
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"{Path(name).name} was given up after {timeout:.0f} s", detail=last_lines(log)) from error


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started: ask, and after two seconds insist."""
    for number, patience in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            break
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if process.returncode is not None:
            break


def last_lines(log: Path) -> str:
    """The last lines of `log`, without credentials that an address may hold."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return _CREDENTIALS.sub("//***@", "\n".join(lines[-LAST_LINES:]))


def output_of(argv: Sequence[str], environ: Mapping[str, str]) -> str:
    """What a program that ends at once prints (both streams), or "" if it fails or takes more than 10 seconds."""
    try:
        done = subprocess.run(
            list(argv),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
