"""Asks a server, real or replayed, what a fact is about."""

from __future__ import annotations

from typing import Any

import httpx

from tests.unit.clients.nexus_fact import FACTS, Fact


def in_order() -> list[Fact]:
    """The facts in their order, in which none comes before one that it builds on."""
    seen: list[str] = []
    for fact in FACTS:
        assert set(fact.after) <= set(seen), fact.what
        seen.append(fact.what)
    return list(FACTS)


def problem(fact: Fact, version: str, url: str, password: str) -> str:
    """How the server's answer differs from the fact; nothing where it does not, or nothing is known."""
    if version not in fact.answers:
        return ""
    status, wanted = fact.answers[version]
    auth = httpx.BasicAuth("admin", password) if fact.signed_in else None
    body = {} if fact.body is None else {"json": fact.body}
    answer = httpx.request(fact.verb, url + fact.path, auth=auth, trust_env=False, timeout=30, **body)
    if answer.status_code != status:
        return f"{fact.what}: {answer.status_code} instead of {status}: {answer.text[:200]}"
    return "" if _holds(answer, wanted) else f"{fact.what}: {answer.text[:200]} instead of {wanted}"


def _holds(answer: httpx.Response, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return wanted in answer.text
    if isinstance(wanted, dict):
        told = answer.json()
        return all(told.get(name) == value for name, value in wanted.items())
    return wanted is None or bool(answer.json() == wanted)
