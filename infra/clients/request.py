"""What the clients tell of their requests, so that a run can prove that it changed nothing."""

from __future__ import annotations

from collections.abc import Callable

Observer = Callable[[str, str, int], None]
"""Called for each request: verb, path without the query, status."""

_READING = {"GET", "HEAD", "OPTIONS", "LIST"}

ASKING = ("/v1/auth/userpass/login/", "/v1/sys/capabilities-self", "/api/v4/runners/verify")
"""Paths whose POST only asks: for a token that lives in memory only, what it may do, and whether a runner's is good."""


def writes(verb: str, path: str) -> bool:
    """Whether a request may have changed something in the server."""
    return verb.upper() not in _READING and not path.startswith(ASKING)
