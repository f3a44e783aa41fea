"""One changing run at a time on a state folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from infra.core.error import ServerError
from infra.core.settings import Settings


@contextmanager
def only_run(settings: Settings) -> Iterator[None]:
    """Holds the state folder for this process; the kernel lets go of it when the process ends, however it ends.

    Raises ServerError, with the other run's process id, when somebody else holds it.
    """
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.state.chmod(0o700)
    with (settings.state / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ServerError(
                f"another forgeline run is at work here (process {file.read().strip() or 'unknown'})",
                where=str(settings.state),
                fix="wait until it has ended, or end it, then run this again",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
