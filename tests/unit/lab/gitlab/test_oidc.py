"""The key behind ID tokens, and what the tokens say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import jwt
import pytest

from infra.core.error import ServerError
from infra.lab.gitlab.oidc import KEY_FILE, JobIdentity, SigningKey, discovery

IDENTITY = JobIdentity(
    namespace_id=3,
    namespace_path="trading",
    project_id=7,
    project_path="trading/order-gateway",
    user_id=1,
    user_login="root",
    user_email="root@example.com",
    user_access_level="owner",
    pipeline_id=11,
    pipeline_source="push",
    job_id=13,
    ref="main",
    ref_type="branch",
    ref_path="refs/heads/main",
    ref_protected=True,
    runner_id=5,
    sha="a" * 40,
    project_visibility="private",
)
NOW = datetime(2026, 1, 31, tzinfo=UTC)


def test_key_is_kept_and_private(tmp_path: Path) -> None:
    first = SigningKey.load(tmp_path)
    again = SigningKey.load(tmp_path)
    assert first.key_id == again.key_id
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_broken_key_is_told(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("nonsense")
    with pytest.raises(ServerError, match="not an RSA key"):
        SigningKey.load(tmp_path)


def test_claims() -> None:
    claims = IDENTITY.claims(issuer="http://gitlab", audience="vault", now=NOW, lifetime_seconds=60)
    assert claims["sub"] == "project_path:trading/order-gateway:ref_type:branch:ref:main"
    assert (claims["iss"], claims["aud"]) == ("http://gitlab", "vault")
    assert (claims["project_id"], claims["ref_protected"], claims["job_id"]) == ("7", "true", "13")
    assert (claims["job_project_path"], claims["runner_environment"]) == ("trading/order-gateway", "self-hosted")
    assert (claims["exp"], claims["nbf"]) == (int(NOW.timestamp()) + 60, int(NOW.timestamp()) - 5)
    assert not {"environment", "environment_protected", "deployment_tier", "ci_config_ref_uri"} & set(claims)


def test_every_claim_is_discoverable() -> None:
    claims = IDENTITY.claims(issuer="http://gitlab", audience=("a", "b"), now=NOW, lifetime_seconds=60)
    assert claims["aud"] == ["a", "b"]
    assert set(claims) <= set(discovery("http://gitlab")["claims_supported"])


def test_another_key_does_not_verify(tmp_path: Path) -> None:
    mine, other = SigningKey.load(tmp_path / "a"), SigningKey.load(tmp_path / "b")
    token = mine.sign({"aud": "x"})
    keys = jwt.PyJWKSet.from_dict(mine.jwks())
    assert jwt.decode(token, keys[mine.key_id], algorithms=["RS256"], audience="x") == {"aud": "x"}
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, other.private.public_key(), algorithms=["RS256"], audience="x")
