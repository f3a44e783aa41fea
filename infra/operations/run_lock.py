"""One changing run at a time on a state folder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from infra.core.error import ServerError
from infra.core.progress import Progress
from infra.core.settings import Settings
from infra.operations.work import Work

POLL_SECONDS = 0.5


@contextmanager
def only_run(settings: Settings, *, patience: float = 0, progress: Progress | None = None) -> Iterator[None]:
    """Holds the state folder for this process; the kernel lets go of it when the process ends, however it ends.

    Raises ServerError, with the other run's process id, when somebody else holds it for more than `patience` seconds;
    `progress` is told that somebody is waited for.
    """
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.state.chmod(0o700)
    deadline = time.monotonic() + patience
    with (settings.state / "run.lock").open("a+") as file:
        waited = False
        while not _taken(file):
            file.seek(0)
            holder = file.read().strip() or "unknown"
            if time.monotonic() >= deadline:
                after = f" after {patience:.0f} s" if patience else ""
                raise ServerError(
                    f"another forgeline run is{' still' if patience else ''} at work here{after} (process {holder})",
                    where=str(settings.state),
                    fix="wait until it has ended, or end it, then run this again",
                )
            if progress is not None and not waited:
                progress.start("turn", f"waiting for another forgeline run (process {holder})")
                waited = True
            time.sleep(POLL_SECONDS)
        if progress is not None and waited:
            progress.done("turn", "the other run has ended")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def turn(work: Work, *, patience: float, wanted: bool = True) -> Iterator[None]:
    """As `only_run`, with a phase of its own for the wait. Where it is not `wanted`, nothing is held."""
    with ExitStack() as held:
        if wanted:
            with work.phase("Turn") as progress:
                held.enter_context(only_run(work.settings, patience=patience, progress=progress))
        yield


def _taken(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
