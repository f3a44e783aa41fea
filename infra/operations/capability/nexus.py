"""What a Nexus is, and what its privileges let Forgeline do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from infra.clients.nexus import NexusClient, configurer
from infra.clients.openbao import OpenBao
from infra.core.settings import Settings
from infra.operations.check import Check, Verdict, fine

NEXUS_NEEDS: Final = {
    "nx-repository-admin-*-*-*": "nexus:repository-admin:*:*:*",
    "nx-selectors-all": "nexus:selectors:*",
    "nx-privileges-all": "nexus:privileges:*",
    "nx-roles-all": "nexus:roles:*",
    "nx-users-all": "nexus:users:*",
}
"""Privileges that every Nexus has, and the permission that each of them grants."""


def implied(permission: str, granted: Iterable[str]) -> bool:
    """Whether one of the granted permissions includes this one, part by part, as Apache Shiro's wildcards do."""
    return any(_implies(one.split(":"), permission.split(":")) for one in granted)


def _implies(granted: list[str], wanted: list[str]) -> bool:
    for index, part in enumerate(wanted):
        if index >= len(granted):
            return True  # what is left out on the right is everything
        words = granted[index].split(",")
        if "*" not in words and not set(part.split(",")) <= set(words):
            return False
    return all("*" in part.split(",") for part in granted[len(wanted) :])


def nexus_checks(settings: Settings, openbao: OpenBao) -> Iterator[Check]:
    """Version, edition, formats and privileges. Raises ForgelineError where Nexus can't be asked."""
    nexus = NexusClient.of(settings, openbao)
    try:
        if not nexus.answers():
            yield Check(
                name="nexus",
                verdict=Verdict.MISSING,
                found=f"{nexus.url}: does not answer",
                fix="look at servers.nexus.url in the profile, and at the server",
            )
            return
        yield from _nexus_server(settings, nexus)
    finally:
        nexus.close()


def _nexus_server(settings: Settings, nexus: NexusClient) -> Iterator[Check]:
    username, _ = configurer(settings)
    yield fine("nexus version", nexus.version())
    if edition := nexus.edition():
        yield fine("nexus edition", edition)
    if not nexus.may_serve():
        yield Check(
            name="nexus licence agreement",
            verdict=Verdict.MISSING,
            found="it serves nothing before its licence agreement is accepted",
            fix="let those who run it accept it",
        )
    granted = nexus.permissions()
    yield fine("nexus identity", username)
    if granted is None:
        yield Check(
            name="nexus permissions",
            verdict=Verdict.WARNING,
            found="this Nexus does not tell what its users may do",
            fix=f"see that a role of {username} has {', '.join(NEXUS_NEEDS)}",
        )
    else:
        missing = [name for name, permission in NEXUS_NEEDS.items() if not implied(permission, granted)]
        for name in missing:
            yield Check(
                name=f"nexus permission {name}",
                verdict=Verdict.MISSING,
                found=f"{username} lacks the privilege {name}",
                fix=f"add {name} to a role of {username}",
            )
        yield fine("nexus permissions", f"{len(NEXUS_NEEDS) - len(missing)} of {len(NEXUS_NEEDS)} are granted")
    formats = nexus.formats()
    yield from (_lacking_format(one) for one in ("maven2", "raw") if one not in formats)
    yield fine("nexus formats", ", ".join(sorted(formats)))
    yield fine("nexus skipped", "realms, anonymous access and cleanup policies: the affair of those who run it")


def _lacking_format(name: str) -> Check:
    return Check(
        name=f"nexus format {name}",
        verdict=Verdict.MISSING,
        found=f"this Nexus has no repositories of the format {name}",
        fix="use a Nexus that has it: artifacts are kept in maven2 and raw repositories",
    )
