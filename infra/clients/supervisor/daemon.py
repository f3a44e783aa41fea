"""Starting supervisord so that it outlives the command, and ending what a killed one left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from infra.clients.supervisor.configuration import MARKER, daemon_configuration
from infra.clients.supervisor.place import Place, write_private
from infra.core.error import ServerError, ToolError

OPEN_FILES = 65_536
"""What Nexus asks for at its start; less where the system allows less."""

START_SECONDS = 15.0

INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_[A-Z]+|TZ|TMPDIR|JAVA_HOME|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|GIT_SSL_CAINFO|NODE_EXTRA_CA_CERTS"
    r"|(HTTPS?|NO|ALL)_PROXY|(https?|no|all)_proxy"
    r"|GO(PROXY|SUMDB|NOSUMDB|NOSUMCHECK|PRIVATE|INSECURE|FLAGS)|PIP_[A-Z_]+|UV_[A-Z_]+|(NPM_CONFIG|npm_config)_\w+"
)
"""Variables of the user's environment that the servers and the jobs get: how to reach the outside, and no more."""


@contextlib.contextmanager
def starting(place: Place) -> Iterator[None]:
    """Alone in starting a supervisord here. The lock goes with the process that holds it."""
    place.make()
    with place.lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def start(place: Place, *, answers: Callable[[], bool]) -> None:
    """Start supervisord in a session of its own and return when it answers. Raises ToolError if it does not."""
    command = Path(sys.executable).with_name("supervisord")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    write_private(place.configuration, daemon_configuration(place, open_files=allowed))
    environment = {name: value for name, value in os.environ.items() if INHERITED.fullmatch(name)}
    process = subprocess.Popen(
        [str(command), "--nodaemon", "--silent", "--configuration", str(place.configuration)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=place.folder,
        env=environment,
        start_new_session=True,
        umask=0o077,
    )
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            ended = f"ended with {process.returncode}" if process.returncode is not None else "does not answer"
            lines = place.log.read_text(errors="replace").splitlines()[-20:] if place.log.exists() else []
            raise ToolError(
                f"supervisord {ended}",
                where=str(place.log),
                detail="\n".join(lines),
                fix="read its log, then `forgeline up`",
            )
        time.sleep(0.05)
    # It stays: without this, Popen would warn that a child still runs.
    process.returncode = 0


def processes(place: Place) -> list[psutil.Process]:
    """Everything that runs in this instance: it carries the instance's mark in its environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARKER) == place.marker and process.pid != os.getpid():
                found.append(process)
    return found


def end_leftovers(place: Place) -> None:
    """End what runs in this instance without a supervisor. Raises ServerError for what can't be ended.

    A job that calls this (it carries the mark too) is not ended, nor what started it.
    """
    own = {process.pid for process in psutil.Process().parents()}
    left = [process for process in processes(place) if process.pid not in own]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, stubborn = psutil.wait_procs(left, timeout=10)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    _, alive = psutil.wait_procs(stubborn, timeout=5)
    if alive:
        pids = " ".join(str(process.pid) for process in alive)
        raise ServerError(f"these processes can't be ended: {pids}", where=str(place.state), fix=f"kill -9 {pids}")


def holder(place: Place) -> int:
    """The process id of the supervisord that still lives here, though it may not answer any more; 0 if none does."""
    try:
        process = psutil.Process(int((place.folder / "supervisord.pid").read_text()))
        return process.pid if str(place.configuration) in process.cmdline() else 0
    except (OSError, ValueError, psutil.Error):
        return 0


def wait_end(place: Place, pid: int, *, timeout: float) -> None:
    """Return when the supervisord `pid` has ended (0: none). Raises ServerError after `timeout` seconds."""
    if pid == 0:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        try:
            psutil.Process(pid).wait(timeout=timeout)
        except psutil.TimeoutExpired:
            raise ServerError(
                f"supervisord (process {pid}) does not end", where=str(place.log), fix="run `forgeline down` again"
            ) from None


def stop_time(place: Place) -> float:
    """The longest time in seconds that a program here takes to stop."""
    texts = []
    for file in place.programs.glob("*.conf"):
        # A deployment that goes on meanwhile may take its program away.
        with contextlib.suppress(FileNotFoundError):
            texts.append(file.read_text(encoding="utf-8"))
    return max(
        (float(match) for text in texts for match in re.findall(r"^stopwaitsecs=(\d+)$", text, re.M)), default=10
    )
