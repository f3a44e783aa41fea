"""How a job proves who it is: GitLab's signed token to OpenBao, and from there short-lived credentials."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.core.naming import EVIDENCE_KEY, JWT_MOUNT, KV_MOUNT, NEXUS_MOUNT, NEXUS_PLUGIN, TRANSIT_MOUNT
from infra.provider.resource import vault


@dataclass(frozen=True, kw_only=True)
class PluginBinary:
    """A plug-in of OpenBao: its file in the plug-in folder, and that file's sum."""

    command: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class JobIdentityConfig:
    """Addresses as the servers see each other, and by whom OpenBao makes users in Nexus.

    `nexus_plugin` is None where others run OpenBao: then they put the plug-in into its catalogue, and the KV engine,
    with which Forgeline's own OpenBao begins, is made here.
    """

    gitlab_url: str
    nexus_url: str
    nexus_username: str
    nexus_password: str
    nexus_plugin: PluginBinary | None
    ca_pem: str | None = None
    """The authorities that sign GitLab's certificate, if they are not the system's."""


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
            jwks_ca_pem=config.ca_pem,
            bound_issuer=config.gitlab_url,
            opts=child,
        )
        made: list[pulumi.Resource] = []
        plugin: pulumi.Input[str] = NEXUS_PLUGIN
        if config.nexus_plugin is not None:
            plugin = vault.Plugin(
                NEXUS_PLUGIN,
                name=NEXUS_PLUGIN,
                command=config.nexus_plugin.command,
                sha256=config.nexus_plugin.sha256,
                opts=child,
            ).name
        else:
            store = vault.SecretsMount(
                f"secrets-{KV_MOUNT}", path=KV_MOUNT, type="kv", options={"version": "2"}, opts=child
            )
            made.append(store)
        engine = vault.SecretsMount(
            f"secrets-{NEXUS_MOUNT}",
            path=NEXUS_MOUNT,
            type=plugin,
            description="Short-lived users of Nexus",
            opts=child,
        )
        self.backend = vault.NexusBackend(
            f"{NEXUS_MOUNT}-backend",
            mount=engine.path,
            url=config.nexus_url,
            username=config.nexus_username,
            password=config.nexus_password,
            opts=child,
        )
        transit = vault.SecretsMount(
            f"secrets-{TRANSIT_MOUNT}", path=TRANSIT_MOUNT, type="transit", description="Keys that sign", opts=child
        )
        key = vault.TransitKey(EVIDENCE_KEY, mount=transit.path, name=EVIDENCE_KEY, type="ecdsa-p256", opts=child)
        self.ready: list[pulumi.Resource] = [*made, believed, engine, key]
        self.register_outputs({})
