"""Permissions are judged as their servers judge them, and those that are missing are named."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.clients.openbao import OpenBao
from infra.core.settings import ROOT, load_settings
from infra.operations.capability.gitlab import _runners, _token
from infra.operations.capability.nexus import NEXUS_NEEDS, implied
from infra.operations.capability.vault import needs_of, vault_checks
from infra.operations.check import Check, Verdict
from tests.unit.operations.gitlab_stub import Answer, stub

ALL = ["create", "read", "update", "delete", "list", "sudo", "patch"]


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        ("nexus:*", True),
        ("*", True),
        ("nexus:roles", True),
        ("nexus:roles:*", True),
        ("nexus:roles,users:create,read", True),
        ("nexus:roles:read", False),
        ("nexus:users:*", False),
        ("nexus:roles:create:deep", False),
        ("nexus:roles:create:*", True),
    ],
)
def test_wildcards_of_nexus(granted: str, expected: bool) -> None:
    assert implied("nexus:roles:create", ["nexus:users:read", granted]) is expected


def test_a_permission_for_all_needs_all() -> None:
    assert not implied("nexus:roles:*", ["nexus:roles:create,read,update,delete"])
    assert not implied("nexus:repository-admin:*:*:*", ["nexus:repository-admin:maven2:*:*"])


def vault(denied: dict[str, list[str]], *, mounted: bool = False, catalogue: bool = True) -> list[Check]:
    """What is said of a Vault that grants everything but what is denied."""
    plugin = "openbao-plugin-secrets-nexus"
    stub = SimpleNamespace(
        url="https://vault",
        who="delivery",
        health=lambda: {"version": "1.20.0", "sealed": False, "enterprise": True},
        granted=lambda paths: {path: [one for one in ALL if one not in denied.get(path, [])] for path in paths},
        mounts=lambda: {"nexus/": {"type": plugin}} if mounted else {},
        auth_methods=lambda: {"userpass/": {"type": "userpass"}},
        read=lambda _path: {"secret": [plugin] if catalogue else []},
    )
    return list(vault_checks(cast(OpenBao, cast(Any, stub)), ("alpha", "beta")))


def test_a_vault_that_grants_everything_is_fine() -> None:
    checks = {check.name: check for check in vault({})}
    assert {check.verdict for check in checks.values()} == {Verdict.FINE}
    assert (checks["vault product"].found, checks["vault version"].found) == ("Vault", "1.20.0")


def test_a_denial_on_one_service_s_path_is_named_with_the_rule_that_mends_it() -> None:
    (missing,) = (one for one in vault({"sys/policies/acl/build-beta": ["delete"]}) if one.verdict is Verdict.MISSING)
    assert missing.name == "vault permission sys/policies/acl/*"
    assert missing.found == "delivery may not delete"
    assert missing.fix.endswith('path "sys/policies/acl/*" { capabilities = ["create", "read", "update", "delete"] }')


def test_a_plugin_that_is_nowhere_is_missing() -> None:
    assert [one.name for one in vault({}, catalogue=False) if one.verdict is Verdict.MISSING] == ["vault plug-in"]
    assert [one for one in vault({}, catalogue=False, mounted=True) if one.verdict is Verdict.MISSING] == []


def test_the_page_grants_what_is_needed() -> None:
    page = (ROOT / "docs" / "existing.md").read_text()
    rules = re.findall(r'^path "(.*?)" \{ capabilities = \[(.*?)\] \}', page, re.M)
    for need in needs_of(("alpha",)):
        for path in need.paths:
            fitting = [granted for pattern, granted in rules if re.fullmatch(pattern.replace("*", ".*"), path)]
            assert any({f'"{one}"' for one in need.capabilities} <= set(one.split(", ")) for one in fitting), path
    for privilege in NEXUS_NEEDS:
        assert f"\n{privilege}\n" in page


def test_a_token_without_the_scope_is_missing_a_permission() -> None:
    checks = list(_token({"scopes": ["read_api"], "expires_at": None}))
    assert [(one.name, one.verdict) for one in checks] == [
        ("gitlab permission api", Verdict.MISSING),
        ("gitlab token", Verdict.FINE),
    ]


def test_a_token_that_ends_soon_is_told_of() -> None:
    (check,) = _token({"scopes": ["api"], "expires_at": "2020-01-01"})
    assert (check.verdict, check.found) == (Verdict.WARNING, "ends on 2020-01-01")


def runners(*listed: dict[str, Any] | int, hidden: bool = False) -> dict[str, Check]:
    """What is said of a group's runners, numbered from 1; a number in their place is how GitLab refuses the list."""
    usual = {
        "paused": False,
        "status": "online",
        "runner_type": "group_type",
        "tag_list": ["linux"],
        "run_untagged": True,
    }
    found = [
        {**usual, "id": number, "description": f"runner-{number}", **one}
        for number, one in enumerate(listed, 1)
        if isinstance(one, dict)
    ]
    refused = next((one for one in listed if isinstance(one, int)), None)
    answers: dict[str, Answer] = {
        "/groups/trading": lambda _query: {"id": 7, "full_path": "trading"},
        "/groups/7/runners": lambda _query: found if refused is None else refused,
    }
    for one in found:
        answers[f"/runners/{one['id']}"] = lambda _query, one=one: 403 if hidden else one  # type: ignore[misc]
    with stub(answers, []) as gitlab:
        return {check.name: check for check in _runners(load_settings({}), gitlab)}


def test_runners_are_shown_with_their_tags_and_state() -> None:
    checks = runners({}, {"runner_type": "instance_type", "status": "offline", "tag_list": [], "run_untagged": False})
    assert {check.verdict for check in checks.values()} == {Verdict.FINE}
    assert checks["gitlab runner runner-1"].found == "of the group, online; tags: linux; also jobs without tags"
    assert checks["gitlab runner runner-2"].found == "of the instance, offline; tags: none; no jobs without tags"


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param([], id="none"),
        pytest.param([{"paused": True}], id="paused"),
        pytest.param([{"status": "stale"}], id="not-online"),
        pytest.param([{"run_untagged": False}, {"status": "offline"}], id="only-with-tags"),
    ],
)
def test_that_no_runner_would_take_a_job_is_a_warning(listed: list[dict[str, Any]]) -> None:
    warned = runners(*listed)["gitlab runners"]
    assert (warned.verdict, "pipelines would wait" in warned.found) == (Verdict.WARNING, True)
    assert "forgeline runner" in warned.fix


def test_what_is_kept_from_the_user_is_not_held_against_a_runner() -> None:
    (shown,) = runners({}, hidden=True).values()
    assert shown.found == "of the group, online; its tags are shown to its owners only"
    (skipped,) = runners(403).values()
    assert (skipped.name, skipped.verdict) == ("gitlab skipped", Verdict.FINE)
