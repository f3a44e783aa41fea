"""What a GitLab is, and what its token's user may do where the profile wants it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from gitlab.exceptions import GitlabError, GitlabHttpError

from infra.clients.gitlab import GitLab, absent, explain
from infra.clients.openbao import OpenBao
from infra.core.naming import PLATFORM_GROUP, SERVICES_GROUP, TEAMS_GROUP
from infra.core.settings import Settings
from infra.operations.check import Check, Verdict, fine
from infra.operations.server_check import gitlab_check
from infra.provider.gitlab.level import NAME, NUMBER

SOON: Final = timedelta(days=14)
"""A token that ends within this time is told of."""


def gitlab_checks(settings: Settings, openbao: OpenBao) -> Iterator[Check]:
    """Version, edition, tier, the token, and its user's role. Raises ForgelineError where GitLab can't be asked."""
    gitlab = GitLab.of(settings, openbao)
    try:
        yield from _gitlab_server(settings, gitlab)
    except GitlabError as error:
        raise explain(error, gitlab.url) from error
    finally:
        gitlab.close()


def _gitlab_server(settings: Settings, gitlab: GitLab) -> Iterator[Check]:
    gitlab.api.auth()
    user: Any = gitlab.api.user
    about: Any = _told(gitlab, "/metadata") or _told(gitlab, "/version") or {}
    yield replace(gitlab_check(gitlab), name="gitlab version")
    if "enterprise" in about:
        yield fine("gitlab edition", "Enterprise" if about["enterprise"] else "Community")
    administrator = bool(getattr(user, "is_admin", False))
    yield fine("gitlab identity", f"{user.username}, {'administrator' if administrator else 'no administrator'}")
    token = _told(gitlab, "/personal_access_tokens/self")
    if token is not None:
        yield from _token(token)
    yield from _place(settings, gitlab, user, administrator=administrator)


def _told(gitlab: GitLab, path: str) -> dict[str, Any] | None:
    """What GitLab tells at a path, or None where it has nothing there or keeps it to itself."""
    try:
        answer = gitlab.api.http_get(path)
    except GitlabHttpError as error:
        if error.response_code in {400, 403, 404}:
            return None
        raise
    return answer if isinstance(answer, dict) else None


def _token(token: Mapping[str, Any]) -> Iterator[Check]:
    name, scopes = "gitlab token", ", ".join(token["scopes"])
    if "api" not in token["scopes"]:
        yield Check(
            name="gitlab permission api",
            verdict=Verdict.MISSING,
            found=f"the token's scopes are {scopes}",
            fix="make a token with the scope api",
        )
    ends = date.fromisoformat(token["expires_at"]) if token.get("expires_at") else None
    if ends is not None and ends - datetime.now(UTC).date() < SOON:
        yield Check(name=name, verdict=Verdict.WARNING, found=f"ends on {ends}", fix="make a new one in time")
        return
    yield fine(name, f"scopes {scopes}; {f'ends on {ends}' if ends else 'does not end'}")


def _place(settings: Settings, gitlab: GitLab, user: Any, *, administrator: bool) -> Iterator[Check]:
    """Whether groups and projects can be made where the profile wants them."""
    base = settings.base_group
    if administrator:
        yield fine("gitlab place", f"below {base}" if base else "at the top")
    elif base:
        yield from _owned(gitlab, user, base)
    elif all(gitlab.find_group(path) for path in (PLATFORM_GROUP, SERVICES_GROUP, TEAMS_GROUP)):
        for path in (PLATFORM_GROUP, SERVICES_GROUP, TEAMS_GROUP):
            yield from _owned(gitlab, user, path)
    elif getattr(user, "can_create_group", False):
        yield fine("gitlab place", "at the top")
    else:
        yield Check(
            name="gitlab permission to create groups",
            verdict=Verdict.MISSING,
            found=f"{user.username} may not create groups at the top",
            fix="set servers.gitlab.group to a group that the token's user owns",
        )
    tier = _told(gitlab, f"/namespaces/{quote(base, safe='')}") if base else None
    if tier and tier.get("plan"):
        yield fine("gitlab tier", str(tier["plan"]))
    if not administrator:
        yield fine("gitlab skipped", "settings of the instance, its users and its runners: no administrator")


def _owned(gitlab: GitLab, user: Any, path: str) -> Iterator[Check]:
    group = gitlab.find_group(path)
    member = absent(lambda: group.members_all.get(user.id)) if group else None
    level = member.access_level if member else 0
    if level >= NUMBER["owner"]:
        yield fine("gitlab place", f"owner of {path}")
        return
    role = f"is {NAME.get(level, level)} of {path}" if level else f"is no member of {path}"
    yield Check(
        name=f"gitlab permission owner of {path}",
        verdict=Verdict.MISSING,
        found=f"{user.username} {role}" if group else f"there is no group {path} that {user.username} can see",
        fix="give it the role Owner there: groups, variables and members need it",
    )
