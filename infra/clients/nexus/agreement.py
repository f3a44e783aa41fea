"""The licence agreement of the Community Edition, which serves no artifact before somebody has accepted it.

There is one from 3.77 on (source: sonatype/nexus-public, release-3.77.0-08, `CommunityEulaApiResourceV1`; Sonatype's
page "EULA REST API"). Accepting a licence is for a person to decide, never for a program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from infra.core.error import ServerError

SETTING = "accept_nexus_eula: true"
"""What a profile says to accept it."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What Nexus has to say about it, and whether it was accepted. The text goes back as it came, to the last quote."""

    accepted: bool
    disclaimer: str

    @property
    def address(self) -> str:
        """Where the agreement can be read, as Nexus's text names it."""
        found = re.search(r"https?://[^\s<>\"]*[^\s<>\".,;]", self.disclaimer)
        return found[0] if found else ""


class AgreementError(ServerError):
    """Nexus serves nothing before its licence agreement is accepted."""

    def __init__(self, url: str, address: str = "") -> None:
        text = address or "Nexus's own pages, after signing in as its administrator"
        super().__init__(
            "Nexus serves no artifact before its licence agreement (EULA) is accepted",
            where=url,
            fix=f"read it ({text}); if you accept it, write `{SETTING}` into the profile and run `forgeline up` again",
        )
