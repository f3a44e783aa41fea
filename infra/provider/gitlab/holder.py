"""What members and tokens belong to: a group or a project."""

from __future__ import annotations

from typing import Any, Literal

from infra.provider.connection import Connections
from infra.provider.kind import Inputs


class Held(Inputs):
    """Base of what belongs to a group or a project, named by its full path."""

    holder_type: Literal["group", "project"]
    holder: str


def holder(connections: Connections, held: Held) -> Any:
    """A handle on the group or project."""
    gitlab = connections.gitlab()
    return gitlab.group(held.holder) if held.holder_type == "group" else gitlab.project(held.holder)
