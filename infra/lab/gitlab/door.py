"""A limit on guessing passwords."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

GUESSES = 10
GUESS_WINDOW = 600.0
"""Seconds in which GUESSES wrong passwords for one name close the door for that name."""


class Door:
    """Counts wrong passwords by name, of browsers and of git alike."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def closed(self, name: str) -> bool:
        """Whether too many guesses were made for this name."""
        with self._lock:
            since = self._clock() - GUESS_WINDOW
            for known in [key for key, times in self._wrong.items() if times[-1] < since]:
                del self._wrong[known]
            return sum(moment >= since for moment in self._wrong.get(name.lower(), ())) >= GUESSES

    def wrong(self, name: str) -> None:
        """A wrong password was given."""
        with self._lock:
            self._wrong.setdefault(name.lower(), deque(maxlen=GUESSES)).append(self._clock())
