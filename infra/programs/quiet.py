"""Keeps the SDK's leftovers quiet: a failed program's coroutines complain when they are collected.

The failure itself is told by the engine's events; that an event loop is closed by then tells nobody anything. They may
be collected as late as the end of the process, so this is done once and for good.
"""

from __future__ import annotations

import logging
import sys
import warnings
from functools import cache

import grpc


@cache
def quiet_leftovers() -> None:
    """From now on exactly these complaints are dropped; all others go where they went."""
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not _is_leftover(unraisable.object):
            before(unraisable)

    sys.unraisablehook = hook
    warnings.filterwarnings("ignore", message=r"coroutine 'Output\.", category=RuntimeWarning)
    logging.getLogger("grpc._server").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Not that a failed program can't tell its engine any more, which has ended by then."""
    error = record.exc_info[1] if record.exc_info else None
    return not (isinstance(error, grpc.RpcError) and error.code() is grpc.StatusCode.UNAVAILABLE)


def _is_leftover(thing: object) -> bool:
    """Whether it is a coroutine of the SDK's outputs."""
    return getattr(thing, "__qualname__", "").startswith("Output.")
