"""What versions of Nexus answer, as far as our client depends on it, each with where it is known from.

3.71.0-06 is a real server here: `tests/unit/provider/test_nexus_fact.py` asks it all that this table says of it. The
others are recorded from what Sonatype publishes and what others measured; a fact with one source says so.
"""

# ruff: noqa: RUF001 - the quotes are Nexus's, and matter

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REST = "/service/rest/v1"
POLICIES = "/service/rest/internal/cleanup-policies"
EULA = f"{REST}/system/eula"
REALMS = f"{REST}/security/realms/active"
ANONYMOUS = f"{REST}/security/anonymous"
CONTENT = "/repository/raw-any/some/file"

REAL, FIRST, LATE = "3.71.0-06", "3.77.1-01", "3.96.1-01"
VERSIONS = (REAL, FIRST, LATE)
EDITION = {REAL: "OSS", FIRST: "COMMUNITY", LATE: "COMMUNITY"}

TEXT = (
    "Use of this server is governed by the agreement at https://agreement.example/ce-eula. By returning the value "
    "from ‘accepted:false’ to ‘accepted:true’, you acknowledge that you have read the agreement."
)
"""In the shape of Nexus's own: curly quotes, an address with a full stop behind it, `accepted:false` in the text."""

LAB = "the real 3.71.0-06 of these tests"
SOURCE = "sonatype/nexus-public, branch release-3.77.0-08 (d6a6bf8438)"
HELP = "Sonatype's help, page `EULA REST API`"
N94 = "somebody's notes of a measured 3.94.1 (public code index, file 62785679022)"
N961 = "somebody's notes of a measured 3.96.1-01 (public code index, file 70811382805)"
N963 = "somebody's transcript of 3.96.3-01 (public code index, file 68843043525)"


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What is answered to the administrator, by version: status, and what of the body matters."""

    what: str
    verb: str
    path: str
    answers: Mapping[str, tuple[int, Any]]
    sources: tuple[str, ...]
    body: Any = None
    signed_in: bool = True
    after: tuple[str, ...] = field(default=())
    """Facts that come before this one, by `what`."""

    @property
    def has_one_source(self) -> bool:
        """Whether nobody else says the same."""
        return len(self.sources) == 1


def everywhere(status: int, body: Any = None) -> dict[str, tuple[int, Any]]:
    return dict.fromkeys(VERSIONS, (status, body))


POLICY = {
    "name": "old",
    "format": "raw",
    "notes": "",
    "criteriaLastBlobUpdated": None,
    "criteriaLastDownloaded": 30,
    "criteriaReleaseType": None,
    "criteriaAssetRegex": None,
}
OPEN = {"enabled": True, "userId": "anonymous", "realmName": "NexusAuthorizingRealm"}

FACTS = (
    Fact(
        what="it says that it serves, whatever was accepted",
        verb="GET",
        path=f"{REST}/status",
        signed_in=False,
        answers=everywhere(200),
        sources=(LAB, N94),
    ),
    Fact(
        what="the agreement, before it is accepted",
        verb="GET",
        path=EULA,
        answers={REAL: (404, None), **dict.fromkeys((FIRST, LATE), (200, {"accepted": False}))},
        sources=(LAB, f"{SOURCE}: CommunityEulaApiResource", HELP, N961),
    ),
    Fact(
        what="an artifact asked for before the agreement is accepted",
        verb="GET",
        path=CONTENT,
        answers={REAL: (404, None), **dict.fromkeys((FIRST, LATE), (403, "EULA"))},
        sources=(LAB, HELP, N94, N963),
    ),
    Fact(
        what="an artifact asked for by a stranger who is not let in",
        verb="GET",
        path=CONTENT,
        signed_in=False,
        answers={LATE: (401, None)},
        sources=(N94,),
    ),
    Fact(
        what="the repositories, before the agreement is accepted",
        verb="GET",
        path=f"{REST}/repositories",
        answers=everywhere(200),
        sources=(LAB, N94),
    ),
    Fact(
        what="acceptance with another text",
        verb="POST",
        path=EULA,
        body={"accepted": True, "disclaimer": TEXT.replace("‘", "'").replace("’", "'")},
        answers={REAL: (404, None), **dict.fromkeys((FIRST, LATE), (500, None))},
        sources=(LAB, f"{SOURCE}: EulaStatus.hasExpectedDisclaimer", N963),
    ),
    Fact(
        what="acceptance with Nexus's own text",
        verb="POST",
        path=EULA,
        body={"accepted": True, "disclaimer": TEXT},
        answers={REAL: (404, None), **dict.fromkeys((FIRST, LATE), (204, None))},
        sources=(LAB, HELP, N961, N963),
    ),
    Fact(
        what="an artifact asked for after that",
        verb="GET",
        path=CONTENT,
        after=("acceptance with Nexus's own text",),
        answers=everywhere(404),
        sources=(LAB, HELP, N963),
    ),
    Fact(
        what="active realms of a new server: the authorizing one is not told",
        verb="GET",
        path=REALMS,
        answers=everywhere(200, ["NexusAuthenticatingRealm"]),
        sources=(LAB, f"{SOURCE}: RealmManagerImpl.getConfiguredRealmIds", N961),
    ),
    Fact(
        what="the authorizing realm among those to be active",
        verb="PUT",
        path=REALMS,
        body=["NexusAuthenticatingRealm", "NexusAuthorizingRealm"],
        answers=everywhere(400, "Unknown realmIds"),
        sources=(LAB, f"{SOURCE}: RealmApiResource.setActiveRealms", N961),
    ),
    Fact(
        what="anonymous access of a new server; nobody says with which version the default changed",
        verb="GET",
        path=ANONYMOUS,
        answers={**dict.fromkeys((REAL, FIRST), (200, {"enabled": True})), LATE: (200, {"enabled": False})},
        sources=(LAB, f"{SOURCE}: InitialAnonymousConfigurationProvider", N94, N961, N963),
    ),
    Fact(
        what="anonymous access is set; its realm is the authorizing one",
        verb="PUT",
        path=ANONYMOUS,
        body=OPEN,
        answers=everywhere(200, OPEN),
        sources=(LAB, f"{SOURCE}: AnonymousAccessApiResource.update", N961),
    ),
    Fact(
        what="the public API of cleanup policies is not in the free edition",
        verb="GET",
        path=f"{REST}/cleanup-policies",
        answers=everywhere(404),
        sources=(LAB, N961),
    ),
    Fact(
        what="a cleanup policy that is not there",
        verb="PUT",
        path=f"{POLICIES}/old",
        body=POLICY,
        answers=everywhere(404),
        sources=(LAB, f"{SOURCE}: CleanupPolicyResource.edit"),
    ),
    Fact(
        what="a cleanup policy is made: 200, ages are days",
        verb="POST",
        path=POLICIES,
        body=POLICY,
        answers=everywhere(200, {"criteriaLastDownloaded": 30}),
        sources=(LAB, f"{SOURCE}: CleanupPolicyResource.add", N961),
    ),
    Fact(
        what="a cleanup policy is made again",
        verb="POST",
        path=POLICIES,
        body=POLICY,
        after=("a cleanup policy is made: 200, ages are days",),
        answers=everywhere(400, "Name is already used"),
        sources=(LAB, N961),
    ),
    Fact(
        what="a cleanup policy is removed",
        verb="DELETE",
        path=f"{POLICIES}/old",
        after=("a cleanup policy is made: 200, ages are days",),
        answers=everywhere(204),
        sources=(LAB, f"{SOURCE}: CleanupPolicyResource.delete", N961),
    ),
)

ALWAYS_SETTLED_ANEW = (REAL, FIRST)
"""Versions that write `admin.password` again at every start, with a password that nobody has (sonatype/nexus-public#458
for 3.71; StaticSecurityConfigurationSource.getPassword of release-3.77.0-08). Of later ones nothing was found."""
