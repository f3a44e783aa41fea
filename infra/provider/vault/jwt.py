"""Sign-in by JWT: whose tokens are believed, and what a role asks of them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind, Names, nothing_to_delete


class JwtConfig(Inputs):
    """Whose tokens a JWT auth method believes. It goes with its mount."""

    mount: str
    jwks_url: str | None = None
    oidc_discovery_url: str | None = None
    jwks_ca_pem: str | None = None
    """Whom OpenBao trusts when it fetches the keys, if they are not its system's authorities."""
    bound_issuer: str
    default_role: str | None = None

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if (self.jwks_url is None) == (self.oidc_discovery_url is None):
            raise ValueError("give either 'jwks_url' or 'oidc_discovery_url'")
        return self


class JwtRole(Inputs):
    """What a token must say, and what its bearer gets. Lifetimes are seconds."""

    mount: str
    name: str
    bound_audiences: Names = Field(min_length=1)
    bound_claims: dict[str, str] = Field(min_length=1)
    bound_claims_type: Literal["string", "glob"] = "string"
    user_claim: str
    token_policies: Names
    token_ttl: int = Field(gt=0)
    token_max_ttl: int = Field(gt=0)
    token_no_default_policy: bool = False
    claim_mappings: dict[str, str] | None = None


_CONFIG = set(JwtConfig.model_fields) - {"mount"}
_ROLE = set(JwtRole.model_fields) - {"mount", "name"}


def _read_config(connections: Connections, wanted: JwtConfig) -> Found | None:
    openbao = connections.openbao()
    if f"{wanted.mount}/" not in openbao.auth_methods():
        return None
    server = openbao.read(f"auth/{wanted.mount}/config")
    if not server or not server.get("bound_issuer"):
        return None
    return Found(fields={"mount": wanted.mount, **{name: server.get(name) or None for name in _CONFIG}})


def _write_config(connections: Connections, wanted: JwtConfig) -> Fields:
    connections.openbao().write(f"auth/{wanted.mount}/config", wanted.model_dump(include=_CONFIG, exclude_none=True))
    return {}


def _read_role(connections: Connections, wanted: JwtRole) -> Found | None:
    server = connections.openbao().read(f"auth/{wanted.mount}/role/{wanted.name}")
    if not server:
        return None
    fields = {name: server.get(name) for name in _ROLE}
    for name in ("bound_audiences", "token_policies"):
        fields[name] = sorted(fields[name] or [])
    claims = fields["bound_claims"] or {}
    fields["bound_claims"] = {claim: _claim(value) for claim, value in claims.items()}
    return Found(fields={"mount": wanted.mount, "name": wanted.name, **fields})


def _claim(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _write_role(connections: Connections, wanted: JwtRole) -> Fields:
    values = wanted.model_dump(include=_ROLE, exclude_none=True)
    connections.openbao().write(f"auth/{wanted.mount}/role/{wanted.name}", {"role_type": "jwt", **values})
    return {}


def _delete_role(connections: Connections, wanted: JwtRole) -> None:
    connections.openbao().delete(f"auth/{wanted.mount}/role/{wanted.name}")


JWT_CONFIG = Kind(
    type_name="forgeline:vault:JwtConfig",
    inputs=JwtConfig,
    key=("mount",),
    read=_read_config,
    create=_write_config,
    update=lambda connections, _old, wanted: _write_config(connections, wanted),
    delete=nothing_to_delete,
)
JWT_ROLE = Kind(
    type_name="forgeline:vault:JwtRole",
    inputs=JwtRole,
    key=("mount", "name"),
    read=_read_role,
    create=_write_role,
    update=lambda connections, _old, wanted: _write_role(connections, wanted),
    delete=_delete_role,
)
