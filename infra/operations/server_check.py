"""What the servers that answer are, and whether Forgeline can work with them: the doctor's second half."""

from __future__ import annotations

from collections.abc import Callable

from infra.clients.gitlab import GitLab
from infra.clients.gitlab_release import NEWEST_KNOWN
from infra.clients.nexus import NexusClient
from infra.clients.nexus.agreement import SETTING
from infra.clients.openbao import OpenBao
from infra.core.error import ForgelineError
from infra.core.settings import Settings
from infra.operations.check import Check, Verdict, fine, unanswered


def examine_servers(settings: Settings) -> list[Check]:
    """A check of each of Forgeline's own servers, with its version; none where they don't run. Changes nothing."""
    if settings.existing or not settings.bootstrap_key.is_file():
        return []
    openbao = OpenBao.of(settings)
    try:
        health = openbao.health()
        if health is None:
            return []
        return [
            fine("OpenBao", str(health.get("version", "no version told"))),
            _told("GitLab", lambda: _gitlab(settings, openbao)),
            _told("Nexus", lambda: _nexus(settings, openbao)),
        ]
    finally:
        openbao.close()


def _told(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except ForgelineError as error:
        return unanswered(name, error)


def _gitlab(settings: Settings, openbao: OpenBao) -> Check:
    client = GitLab.of(settings, openbao)
    try:
        return gitlab_check(client)
    finally:
        client.close()


def gitlab_check(client: GitLab) -> Check:
    """GitLab's version. Raises ServerError for one that is too old."""
    release, version = client.require_release(), client.version()
    if release.major > NEWEST_KNOWN:
        return Check(
            name="GitLab",
            verdict=Verdict.WARNING,
            found=f"{version}: newer than what Forgeline was made for",
            fix=f"read what GitLab {release.major} removed; up to {NEWEST_KNOWN} is known (docs/versions.md)",
        )
    return fine("GitLab", version)


def _nexus(settings: Settings, openbao: OpenBao) -> Check:
    client = NexusClient.of(settings, openbao)
    try:
        return nexus_check(client, accept=settings.profile.accept_nexus_eula)
    finally:
        client.close()


def nexus_check(client: NexusClient, *, accept: bool) -> Check:
    """Nexus's version, edition and formats, and whether a licence agreement is in its way."""
    about = [client.version() or "no version told", client.edition(), ", ".join(sorted(client.formats()))]
    found = "; ".join(part for part in about if part)
    if client.may_serve():
        return fine("Nexus", found)
    agreement = client.agreement()
    address = "" if agreement is None else agreement.address
    fix = "`forgeline up` accepts it, as the profile says" if accept else f"read {address}; to accept it: `{SETTING}`"
    return Check(
        name="Nexus",
        verdict=Verdict.WARNING if accept else Verdict.MISSING,
        found=f"{found}; serves nothing before its licence agreement is accepted",
        fix=fix,
    )
