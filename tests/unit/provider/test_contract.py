"""What every kind must do, on real servers: adopt, read every field back, change in place, be found again, go away."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.core.blob import blob_ids
from infra.core.error import BadInputError
from infra.provider.kind import Kind
from infra.provider.provider import bring_about, complete
from infra.provider.registry import KINDS

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group(__name__)]

GROUP = "contract"
PROJECT = "contract/app"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A resource, and values that some of its fields change to."""

    kind: str
    inputs: dict[str, Any]
    changed: dict[str, Any] = field(default_factory=dict)
    stays: bool = False
    """Removing the resource leaves it there."""


CASES = [
    Case(kind="vault:KvSecret", inputs={"path": "contract/kv", "generated": {"a": "x-"}, "fixed": {"u": "me"}},
         changed={"fixed": {"u": "you"}, "generated": {"a": "x-", "b": ""}}),
    Case(kind="vault:AuthMount", inputs={"path": "contract", "type": "jwt", "description": "one"},
         changed={"description": "two"}),
    Case(kind="vault:JwtConfig",
         inputs={"mount": "shared", "jwks_url": "GITLAB/oauth/discovery/keys", "bound_issuer": "GITLAB"},
         changed={"bound_issuer": "https://other.test"}, stays=True),
    Case(kind="vault:JwtRole",
         inputs={"mount": "shared", "name": "r", "bound_audiences": ["https://bao"],
                 "bound_claims": {"project_id": "7"},
                 "user_claim": "project_path", "token_policies": ["p"], "token_ttl": 60, "token_max_ttl": 120},
         changed={"bound_claims": {"project_id": "8", "ref_protected": "true"}, "token_ttl": 90,
                  "bound_audiences": ["https://bao", "https://two"]}),
    Case(kind="vault:Policy", inputs={"name": "contract", "rules": 'path "a/b" { capabilities = ["read"] }\n'},
         changed={"rules": 'path "a/c" { capabilities = ["read"] }\n'}),
    Case(kind="vault:SecretsMount", inputs={"path": "contract-t", "type": "transit", "description": "one",
                                            "max_lease_ttl": 3600},
         changed={"description": "two", "max_lease_ttl": 7200}),
    Case(kind="vault:TransitKey", inputs={"mount": "shared-t", "name": "k", "type": "ed25519"},
         changed={"deletion_allowed": True}),
    Case(kind="vault:Plugin", inputs={"name": "openbao-plugin-secrets-nexus", "command": "PLUGIN", "sha256": "SUM"}),
    Case(kind="gitlab:ApplicationSettings", inputs={"signup_enabled": False}, changed={"signup_enabled": True},
         stays=True),
    Case(kind="gitlab:Group", inputs={"path": "contract/sub", "name": "Sub", "visibility": "private"},
         changed={"name": "Other", "description": "d", "visibility": "private"}),
    Case(kind="gitlab:Project",
         inputs={"path": "contract/other", "ci_config_path": "a.yml@platform/pipelines:v1", "topics": ["b", "a"],
                 "ci_pipeline_variables_minimum_override_role": "no_one_allowed"},
         changed={"ci_config_path": "a.yml@platform/pipelines:v2", "description": "d", "topics": ["c"],
                  "only_allow_merge_if_pipeline_succeeds": True, "archived": True}),
    Case(kind="gitlab:GroupVariable", inputs={"group": GROUP, "key": "ADDR", "value": "one"},
         changed={"value": "two", "protected": True}),
    Case(kind="gitlab:ProjectVariable", inputs={"project": PROJECT, "key": "SECRET",
                                                "secret": "openbao:contract/shared#value", "masked": True},
         changed={"protected": True}),
    Case(kind="gitlab:ProtectedBranch", inputs={"project": PROJECT, "branch": "release-*"},
         changed={"merge_access_level": "developer", "allow_force_push": True}),
    Case(kind="gitlab:ProtectedTag", inputs={"project": PROJECT, "tag": "v*"},
         changed={"create_access_level": "developer"}),
    Case(kind="gitlab:PipelineSchedule", inputs={"project": "contract/tagged", "description": "Nightly",
                                                 "branch": "main", "cron": "7 2 * * *"},
         changed={"cron": "9 3 * * *", "active": False}),
    Case(kind="gitlab:Runner", inputs={"description": "contract", "token": "openbao:contract/runner#token",
                                       "tag_list": ["b", "a"]},
         changed={"tag_list": ["c"], "run_untagged": False, "paused": True}),
    Case(kind="gitlab:Member", inputs={"holder_type": "group", "holder": GROUP, "username": "alice",
                                       "access_level": "developer"},
         changed={"access_level": "reporter"}),
    Case(kind="gitlab:ProjectShare", inputs={"project": PROJECT, "group": "friends", "access_level": "developer"},
         changed={"access_level": "reporter"}),
    Case(kind="gitlab:AccessToken", inputs={"holder_type": "project", "holder": PROJECT, "name": "bot",
                                            "token": "openbao:contract/bot#token", "scopes": ["read_api"],
                                            "lifetime_days": 30},
         changed={"scopes": ["api"]}),
    Case(kind="gitlab:DeployToken", inputs={"holder_type": "project", "holder": PROJECT, "name": "pull",
                                            "token": "openbao:contract/pull#token", "scopes": ["read_repository"],
                                            "username": "puller"},
         changed={"scopes": ["read_registry", "read_repository"]}),
    Case(kind="gitlab:RepositoryFiles", inputs={"project": PROJECT, "branch": "main",
                                                "files": {"a.txt": "one\n", "b/c.txt": "two\n"}},
         changed={"files": {"a.txt": "three\n", "d.txt": "four\n"}}, stays=True),
    Case(kind="gitlab:Tag", inputs={"project": "contract/tagged", "tag": "v1", "ref": "main",
                                    "blobs": blob_ids({"r.txt": "r\n"})}),
    Case(kind="nexus:Agreement", inputs={"accept": False}, stays=True),
    Case(kind="nexus:BlobStore", inputs={"name": "contract", "path": "contract"}),
    Case(kind="nexus:CleanupPolicy", inputs={"name": "contract", "format": "raw", "last_downloaded": 30},
         changed={"last_downloaded": 60, "notes": "n"}),
    Case(kind="nexus:Repository", inputs={"name": "contract-hosted", "format": "maven2", "type": "hosted",
                                          "write_policy": "allow_once", "version_policy": "release"},
         changed={"write_policy": "deny", "online": False, "layout_policy": "permissive"}),
    Case(kind="nexus:Repository", inputs={"name": "contract-proxy", "format": "maven2", "type": "proxy",
                                          "remote_url": "https://one.test/"},
         changed={"remote_url": "https://two.test/", "content_max_age": 60}),
    Case(kind="nexus:Repository", inputs={"name": "contract-group", "format": "raw", "type": "group",
                                          "members": ["shared-raw"]},
         changed={"online": False}),
    Case(kind="nexus:ContentSelector", inputs={"name": "contract", "expression": 'format == "raw"'},
         changed={"expression": 'format == "maven2"', "description": "d"}),
    Case(kind="nexus:Privilege", inputs={"name": "contract", "type": "repository-view", "format": "raw",
                                         "repository": "shared-raw", "actions": ["read", "browse"]},
         changed={"actions": ["read"], "description": "d"}),
    Case(kind="nexus:Role", inputs={"role_id": "contract", "privileges": ["nx-all"]},
         changed={"privileges": ["nx-all", "nx-repository-view-raw-shared-raw-read"], "description": "d"}),
    Case(kind="nexus:User", inputs={"user_id": "contract", "first_name": "A", "last_name": "B", "email": "a@b.test",
                                    "roles": ["nx-admin"], "password": "openbao:contract/shared#value"},
         changed={"password": "openbao:contract/shared#other", "last_name": "C"}),
    Case(kind="nexus:Realms", inputs={"realms": ["NexusAuthenticatingRealm"]},
         changed={"realms": ["NexusAuthenticatingRealm", "DefaultRole"]}, stays=True),
    Case(kind="nexus:AnonymousAccess", inputs={"enabled": False}, changed={"enabled": True}, stays=True),
    Case(kind="vault:NexusBackend", inputs={"mount": "shared-nexus", "url": "NEXUS", "username": "admin",
                                            "password": "openbao:platform/nexus-admin#password"}, stays=True),
    Case(kind="vault:NexusRole", inputs={"mount": "shared-nexus", "name": "r", "roles": ["nx-admin"]},
         changed={"roles": ["nx-anonymous"], "ttl": 60}),
]  # fmt: skip

WITH_OWN_TESTS = {"forgeline:lab:Process", *(name for name in KINDS if name.startswith("forgeline:docker:"))}
"""Kinds that other tests show: the fixture of this one is made of processes, and containers have their own engine."""


@pytest.fixture(scope="module")
def ground(lab: Any) -> Any:
    """What the cases stand on."""
    for name, inputs in [
        ("vault:KvSecret", {"path": "contract/shared", "generated": {"value": "Aa1-", "other": "Bb2-"}}),
        ("vault:AuthMount", {"path": "shared", "type": "jwt"}),
        ("vault:SecretsMount", {"path": "shared-t", "type": "transit"}),
        ("gitlab:Group", {"path": GROUP}),
        ("gitlab:Group", {"path": "friends"}),
        ("gitlab:Project", {"path": PROJECT}),
        ("gitlab:Project", {"path": "contract/tagged"}),
        ("gitlab:RepositoryFiles", {"project": "contract/tagged", "branch": "main", "files": {"r.txt": "r\n"}}),
        ("nexus:Repository", {"name": "shared-raw", "format": "raw", "type": "hosted", "write_policy": "allow"}),
        ("vault:Plugin", _filled(lab, {"name": "openbao-plugin-secrets-nexus", "command": "PLUGIN", "sha256": "SUM"})),
        ("vault:SecretsMount", {"path": "shared-nexus", "type": "openbao-plugin-secrets-nexus"}),
    ]:
        kind = KINDS[f"forgeline:{name}"]
        bring_about(kind, lab.connections, _wanted(kind, inputs))
    user = {"username": "alice", "name": "Alice", "email": "alice@lab.test", "force_random_password": True}
    lab.connections.gitlab().api.users.create(user)
    return lab


def _filled(lab: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    plugin = lab.tools["nexus-secrets"]
    words = {
        "PLUGIN": plugin.name,
        "SUM": hashlib.sha256(plugin.read_bytes()).hexdigest(),
        "NEXUS": lab.settings.nexus_url,
        "GITLAB": lab.settings.gitlab_url,
    }
    texts = {name: value for name, value in inputs.items() if isinstance(value, str)}
    for word, meaning in words.items():
        texts = {name: value.replace(word, meaning) for name, value in texts.items()}
    return {**inputs, **texts}


def _wanted(kind: Kind[Any], inputs: dict[str, Any]) -> Any:
    fields, failures = complete(kind, inputs)
    assert not failures, [failure.reason for failure in failures]
    return kind.inputs.model_validate(fields)


def _changes(kind: Kind[Any], lab: Any, wanted: Any) -> dict[str, Any]:
    found = kind.read(lab.connections, wanted)
    assert found is not None, "it is not there"
    return kind.changes(wanted.model_dump(mode="json"), kind.observed(wanted, found))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{next(iter(case.inputs.values()))}")
def test_a_kind_keeps_the_contract(case: Case, ground: Any) -> None:
    kind = KINDS[f"forgeline:{case.kind}"]
    inputs = _filled(ground, case.inputs)
    wanted = _wanted(kind, inputs)
    computed = bring_about(kind, ground.connections, wanted)
    assert set(kind.computed) <= set(computed)
    assert _changes(kind, ground, wanted) == {}, "read must answer every field as it was made"

    ground.written.clear()
    assert dict(bring_about(kind, ground.connections, wanted)) == dict(computed), "create must adopt what is there"
    assert ground.written == [], "a second time must not write"

    imported = kind.read(ground.connections, kind.from_identity(kind.identity(wanted.model_dump())))
    assert imported is not None, "it must be found by its id alone"

    if case.changed:
        other = _wanted(kind, {**inputs, **_filled(ground, case.changed)})
        named = {path.partition("[")[0] for path in _changes(kind, ground, other)}
        assert named == {name for name in case.changed if case.changed[name] != inputs.get(name)} - kind.write_only
        kind.update(ground.connections, {**kind.read(ground.connections, wanted).fields, **computed}, other)
        assert _changes(kind, ground, other) == {}
        assert _changes(kind, ground, wanted) != {}, "the drift must be seen from the first description too"
        bring_about(kind, ground.connections, wanted)

    kind.delete(ground.connections, wanted)
    kind.delete(ground.connections, wanted)
    if not case.stays:
        assert kind.read(ground.connections, wanted) is None


OF_A_PROJECT = [case for case in CASES if {"project", "holder"} & set(case.inputs)]


@pytest.mark.parametrize("case", OF_A_PROJECT, ids=lambda case: case.kind)
def test_what_belongs_to_a_project_that_is_gone_is_gone(case: Case, ground: Any) -> None:
    kind = KINDS[f"forgeline:{case.kind}"]
    owner = "project" if "project" in case.inputs else "holder"
    wanted = _wanted(kind, {**_filled(ground, case.inputs), owner: "contract/absent"})
    assert kind.read(ground.connections, wanted) is None
    kind.delete(ground.connections, wanted)


def test_every_kind_has_a_case() -> None:
    assert {f"forgeline:{case.kind}" for case in CASES} | WITH_OWN_TESTS == set(KINDS)


def test_a_released_tag_never_changes(ground: Any) -> None:
    kind = KINDS["forgeline:gitlab:Tag"]
    inputs = {"project": "contract/tagged", "tag": "v9", "ref": "main"}
    bring_about(kind, ground.connections, _wanted(kind, {**inputs, "blobs": blob_ids({"r.txt": "r\n"})}))
    with pytest.raises(BadInputError, match="other content") as caught:
        bring_about(kind, ground.connections, _wanted(kind, {**inputs, "blobs": blob_ids({"r.txt": "new\n"})}))
    assert "raise the version" in caught.value.fix


def test_a_seed_is_put_only_into_an_empty_repository(ground: Any) -> None:
    kind = KINDS["forgeline:gitlab:RepositoryFiles"]
    inputs = {"project": "contract/tagged", "branch": "main", "files": {"r.txt": "other\n"}, "mode": "seed"}
    ground.written.clear()
    bring_about(kind, ground.connections, _wanted(kind, inputs))
    assert ground.written == []


def test_a_secret_changed_on_the_server_is_seen_and_not_shown(ground: Any) -> None:
    kind = KINDS["forgeline:gitlab:ProjectVariable"]
    wanted = _wanted(kind, {"project": PROJECT, "key": "K", "secret": "openbao:contract/shared#value", "masked": True})
    bring_about(kind, ground.connections, wanted)
    variables = ground.connections.gitlab().project(PROJECT).variables
    variables.update("K", {"value": "somebody-elses-value", "masked": True})
    changes = _changes(kind, ground, wanted)
    assert changes == {"secret": ("openbao:contract/shared#value", "(differs)")}
