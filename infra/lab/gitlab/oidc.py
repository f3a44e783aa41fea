"""The identity that jobs carry: the key behind `id_tokens`, its OpenID discovery document and its JWKS.

The claims are those of GitLab's ID tokens (docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload);
every claim about a job is a string, also numbers and booleans, because verifiers bind strings.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from infra.core.error import ServerError

ALGORITHM = "RS256"
KEY_BITS = 2048
KEY_FILE = "ci_jwt_signing_key.pem"
DISCOVERY_PATH = "/.well-known/openid-configuration"
JWKS_PATH = "/oauth/discovery/keys"

# Said twice by GitLab: of the ref's project, and as `job_…` of the project that runs the job. Here they are the same.
_PROJECT_CLAIMS = ("project_id", "project_path", "namespace_id", "namespace_path")


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """The RSA key that signs ID tokens; its id is the hash of its public half, so it survives restarts."""

    private: rsa.RSAPrivateKey
    key_id: str

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The key kept in `folder`, made on first use (mode 0600).

        Safe against two starts at once and against a kill half-way: the file appears whole or not at all.
        Raises ServerError when the file is there but is not an RSA key.
        """
        path = folder / KEY_FILE
        if not path.exists():
            _create(path)
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except ValueError:
            private = None
        if not isinstance(private, rsa.RSAPrivateKey):
            raise ServerError(
                "the key that signs ID tokens is not an RSA key",
                where=str(path),
                fix="restore the file from a backup, or delete it: a new key is made at the next start",
            )
        return cls(private=private, key_id=_key_id(private.public_key()))

    def sign(self, claims: Mapping[str, object]) -> str:
        """The JWT that holds `claims`."""
        return jwt.encode(dict(claims), self.private, algorithm=ALGORITHM, headers={"kid": self.key_id, "typ": "JWT"})

    def jwks(self) -> dict[str, Any]:
        """The document at `/oauth/discovery/keys`."""
        public: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        key = {"kty": "RSA", "kid": self.key_id, "e": public["e"], "n": public["n"], "use": "sig", "alg": ALGORITHM}
        return {"keys": [key]}


def _create(path: Path) -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(pem)
            stream.flush()
            os.fsync(stream.fileno())
        # A link, not a rename: of two starts at once the first one's key stays.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _key_id(public: rsa.RSAPublicKey) -> str:
    encoded = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()[:43]


def discovery(issuer: str) -> dict[str, Any]:
    """The document at `/.well-known/openid-configuration`; `issuer` is the external URL."""
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}{JWKS_PATH}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", *JobIdentity.claim_names()],
    }


@dataclass(frozen=True, kw_only=True)
class JobIdentity:
    """What an ID token says about a job. Fields are the claims' names."""

    namespace_id: int
    namespace_path: str
    project_id: int
    project_path: str
    user_id: int
    user_login: str
    user_email: str
    user_access_level: str
    pipeline_id: int
    pipeline_source: str
    job_id: int
    ref: str
    ref_type: str
    ref_path: str
    ref_protected: bool
    runner_id: int
    sha: str
    project_visibility: str
    ci_config_ref_uri: str | None = None
    ci_config_sha: str | None = None
    environment: str | None = None
    environment_protected: bool = False
    deployment_tier: str | None = None
    environment_action: str | None = None

    @classmethod
    def claim_names(cls) -> tuple[str, ...]:
        """The names of the claims that GitLab adds to the registered ones."""
        return (*cls.__dataclass_fields__, *(f"job_{name}" for name in _PROJECT_CLAIMS), "runner_environment")

    def claims(
        self, *, issuer: str, audience: str | tuple[str, ...], now: datetime, lifetime_seconds: int
    ) -> dict[str, object]:
        """The token's payload; it is valid from 5 s before `now` for `lifetime_seconds`."""
        issued = int(now.timestamp())
        claims: dict[str, object] = {
            "iss": issuer,
            "sub": f"project_path:{self.project_path}:ref_type:{self.ref_type}:ref:{self.ref}",
            "aud": audience if isinstance(audience, str) else list(audience),
            "exp": issued + lifetime_seconds,
            "iat": issued,
            "nbf": issued - 5,
            "jti": str(uuid.uuid4()),
            "runner_id": self.runner_id,
            "runner_environment": "self-hosted",
            **{f"job_{name}": str(getattr(self, name)) for name in _PROJECT_CLAIMS},
        }
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name in claims or value is None or (name == "environment_protected" and self.environment is None):
                continue
            claims[name] = ("true" if value else "false") if isinstance(value, bool) else str(value)
        return claims
