"""What this is: version and metadata."""

from __future__ import annotations

from typing import Any

from infra.lab.gitlab.api.route import Request, get
from infra.lab.gitlab.instance import REVISION, VERSION


def show(_request: Request) -> dict[str, Any]:
    """The release that is followed. The revision names the stand-in."""
    return {
        "version": VERSION,
        "revision": REVISION,
        "kas": {"enabled": False, "externalUrl": None, "externalK8sProxyUrl": None, "version": None},
        "enterprise": False,
    }


ROUTES = (
    get("/version", show, scopes=("read_user",)),
    get("/metadata", show, scopes=("read_user",)),
)
