"""What git said of objects: an object is named after its content, so what was true of it stays true.

Asking git costs a process each time, which was most of what reading a repository costs. Only what is asked of a commit
by its full hash may be kept here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

SIZE = 8192
"""Answers that are kept, of all repositories: those used last."""

_kept: OrderedDict[Hashable, Any] = OrderedDict()
_lock = threading.Lock()


def recall(key: Hashable) -> Any:
    """The answer that was kept under the key; None: there is none."""
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
        return _kept.get(key)


def keep(key: Hashable, answer: Any) -> None:
    """Keep an answer. None isn't one: what is not there today may be pushed tomorrow."""
    if answer is None:
        return
    with _lock:
        _kept[key] = answer
        _kept.move_to_end(key)
        while len(_kept) > SIZE:
            _kept.popitem(last=False)


def remembered(key: Hashable, ask: Callable[[], T | None], *, small: Callable[[T], bool] = lambda _: True) -> T | None:
    """The answer, asked for where it isn't known. Only one that is `small` is kept. Who gets it must not change it."""
    found: T | None = recall(key)
    if found is None:
        found = ask()
        if found is not None and small(found):
            keep(key, found)
    return found
