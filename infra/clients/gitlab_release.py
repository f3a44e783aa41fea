"""Which releases of GitLab can be worked with: what is needed of one, and since when GitLab has it.

Each release is the one that GitLab's documentation names as the first; docs/versions.md says where.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from infra.core.error import ServerError


@dataclass(frozen=True, order=True)
class Release:
    """A monthly release. Patches change nothing that matters here."""

    major: int
    minor: int

    @classmethod
    def parse(cls, version: str) -> Self | None:
        """The release of a version such as `18.6.2-ee`, or None."""
        found = re.match(r"(\d+)\.(\d+)", version)
        return cls(int(found[1]), int(found[2])) if found else None

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


NEEDS: Mapping[str, Release] = {
    "tokens that prove to Vault which job asks (`id_tokens`)": Release(15, 7),
    "runners made by `POST /user/runners`, without a registration token": Release(15, 11),
    "pipelines that a new commit ends early (`workflow:auto_cancel`)": Release(16, 10),
    "pipeline variables that nobody may set (`ci_pipeline_variables_minimum_override_role`)": Release(17, 1),
}
"""What Forgeline uses of GitLab that not every GitLab has."""

OLDEST = max(NEEDS.values())
NEWEST_KNOWN = 19
"""The last major release whose documentation was read."""


def require(version: str, url: str) -> Release:
    """The release of a GitLab that Forgeline can work with. Raises ServerError for an older one, with what it lacks."""
    release = Release.parse(version)
    if release is None:
        raise ServerError(
            f"GitLab calls its version {version!r}: which release is that?",
            where=url,
            fix=f"see that this is the address of a GitLab of release {OLDEST} or newer",
        )
    lacking = [f"since {since}: {what}" for what, since in sorted(NEEDS.items(), key=_since) if since > release]
    if lacking:
        raise ServerError(
            f"GitLab {version} is too old: {OLDEST} or newer is needed",
            where=url,
            fix=f"bring GitLab to {OLDEST} or newer",
            detail="\n".join(["It lacks:", *lacking]),
        )
    return release


def _since(need: tuple[str, Release]) -> Release:
    return need[1]
