"""How a job proves who it is: GitLab's signed token to OpenBao, and from there short-lived credentials."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.core.naming import JWT_MOUNT, NEXUS_ADMIN, NEXUS_MOUNT
from infra.core.secret import SecretRef
from infra.provider.resource import vault

TRANSIT_MOUNT = "transit"
EVIDENCE_KEY = "evidence"


@dataclass(frozen=True, kw_only=True)
class PluginBinary:
    """A plug-in of OpenBao: its name in the catalogue, its file in the plug-in folder, and that file's sum."""

    name: str
    command: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class JobIdentityConfig:
    """Addresses as the servers see each other."""

    gitlab_url: str
    nexus_url: str
    nexus_plugin: PluginBinary


class JobIdentity(pulumi.ComponentResource):
    """GitLab's tokens are believed; the engine for Nexus users and the key for evidence are there."""

    def __init__(self, name: str, config: JobIdentityConfig) -> None:
        super().__init__("forgeline:component:JobIdentity", name)
        child = pulumi.ResourceOptions(parent=self)
        mount = vault.AuthMount(
            f"auth-{JWT_MOUNT}", path=JWT_MOUNT, type="jwt", description="Jobs of GitLab's pipelines", opts=child
        )
        believed = vault.JwtConfig(
            f"jwt-{JWT_MOUNT}",
            mount=mount.path,
            jwks_url=f"{config.gitlab_url}/oauth/discovery/keys",
            bound_issuer=config.gitlab_url,
            opts=child,
        )
        plugin = vault.Plugin(
            config.nexus_plugin.name,
            name=config.nexus_plugin.name,
            command=config.nexus_plugin.command,
            sha256=config.nexus_plugin.sha256,
            opts=child,
        )
        engine = vault.SecretsMount(
            f"secrets-{NEXUS_MOUNT}",
            path=NEXUS_MOUNT,
            type=plugin.name,
            description="Short-lived users of Nexus",
            opts=child,
        )
        self.backend = vault.NexusBackend(
            f"{NEXUS_MOUNT}-backend",
            mount=engine.path,
            url=config.nexus_url,
            username="admin",
            password=str(SecretRef(NEXUS_ADMIN, "password")),
            opts=child,
        )
        transit = vault.SecretsMount(
            f"secrets-{TRANSIT_MOUNT}", path=TRANSIT_MOUNT, type="transit", description="Keys that sign", opts=child
        )
        key = vault.TransitKey(EVIDENCE_KEY, mount=transit.path, name=EVIDENCE_KEY, type="ecdsa-p256", opts=child)
        self.ready: list[pulumi.Resource] = [believed, engine, key]
        self.register_outputs({})
