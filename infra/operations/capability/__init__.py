"""What servers that others run can do, and what their credentials may do: read from them, changing nothing.

A permission that is missing is named as its server names it, before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from infra.clients.openbao import OpenBao
from infra.core.error import ForgelineError
from infra.core.settings import Settings
from infra.operations.capability.gitlab import gitlab_checks
from infra.operations.capability.nexus import nexus_checks
from infra.operations.capability.vault import vault_checks
from infra.operations.check import Check, unanswered


def capabilities(settings: Settings, services: Iterable[str]) -> Iterator[Check]:
    """Every check of the three servers. A server that can't be asked is one check that says so."""
    openbao = OpenBao.of(settings)
    try:
        yield from _asked("vault", lambda: vault_checks(openbao, tuple(services)))
        yield from _asked("gitlab", lambda: gitlab_checks(settings, openbao))
        yield from _asked("nexus", lambda: nexus_checks(settings, openbao))
    finally:
        openbao.close()


def _asked(server: str, look: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from look()
    except ForgelineError as error:
        yield unanswered(server, error)
