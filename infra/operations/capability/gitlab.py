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
    yield from _runners(settings, gitlab)


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


def _runners(settings: Settings, gitlab: GitLab) -> Iterator[Check]:
    """The runners that the services' group sees, or the profile's group before there is one.

    A group's runners are shown to whoever maintains it (https://docs.gitlab.com/api/runners/#list-groups-runners), and
    the tags of a runner that belongs to a group above to that one's Owner only: what is kept from us is said so.
    """
    group = gitlab.find_group(gitlab.under(SERVICES_GROUP))
    if group is None and settings.base_group:
        group = gitlab.find_group(settings.base_group)
    if group is None:
        return
    try:
        listed = group.runners.list(get_all=True)
    except GitlabError as error:
        if error.response_code != 403:
            raise
        yield fine("gitlab skipped", f"the runners of {group.full_path}: only its maintainers see them")
        return
    details = {one.id: _told(gitlab, f"/runners/{one.id}") for one in listed}
    for one in listed:
        yield fine(f"gitlab runner {one.description or one.id}", _runner(one, details[one.id]))
    ready = [one for one in listed if one.status == "online" and not one.paused]
    # Whose details are kept from us may take the jobs: only what is known is held against it.
    if not any((details[one.id] or {}).get("run_untagged", True) for one in ready):
        yield Check(
            name="gitlab runners",
            verdict=Verdict.WARNING,
            found=f"no runner that {group.full_path} sees is online and takes jobs without tags: pipelines would wait",
            fix="start one as docs/existing.md tells (`forgeline runner`), and let it run jobs without tags",
        )


def _runner(listed: Any, details: Mapping[str, Any] | None) -> str:
    """Whose a runner is, whether it works, and which jobs it takes."""
    state = "paused" if listed.paused else listed.status
    kind = listed.runner_type.removesuffix("_type")
    if details is None:
        return f"of the {kind}, {state}; its tags are shown to its owners only"
    tags = ", ".join(details["tag_list"]) or "none"
    untagged = "also" if details["run_untagged"] else "no"
    return f"of the {kind}, {state}; tags: {tags}; {untagged} jobs without tags"
