"""The secrets of a running stack that must be seen nowhere."""

from __future__ import annotations

from infra.clients.openbao import OpenBao
from infra.core.naming import GITLAB_ROOT, NEXUS_ADMIN


def platform_secrets(openbao: OpenBao) -> dict[str, str]:
    """The value of each, by its path and field. There must be some."""
    values = {
        f"{path}#{field}": value.reveal()
        for path in (GITLAB_ROOT, NEXUS_ADMIN, "platform/runner")
        for field, value in (openbao.read_kv(path) or {}).items()
        if field != "username"
    }
    assert values, "OpenBao has no credentials of this stack"
    return values
