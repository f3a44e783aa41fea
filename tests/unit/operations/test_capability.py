"""Permissions are judged as their servers judge them, and those that are missing are named."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.clients.openbao import OpenBao
from infra.core.settings import ROOT
from infra.operations.capability.gitlab import _token
from infra.operations.capability.nexus import NEXUS_NEEDS, implied
from infra.operations.capability.vault import needs_of, vault_checks
from infra.operations.check import Check, Verdict

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
