"""Nexus as the one trusted source of artifacts."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.core.naming import DEPLOYER, MAVEN_GROUP, MAVEN_PROXY, MAVEN_RELEASES, RAW_RELEASES, READER
from infra.provider.resource import nexus

AUTHENTICATING_REALM = "NexusAuthenticatingRealm"


@dataclass(frozen=True, kw_only=True)
class ArtifactStoreConfig:
    """`maven_upstream` is the address that the Maven proxy fetches from; `proxy_days` how long unused files stay.

    `instance` tells whether the whole Nexus is Forgeline's. Where it is not, who may sign in and how, and what is
    thrown away, are the affair of those who run it.
    """

    maven_upstream: str
    proxy_days: int = 90
    instance: bool = True


class ArtifactStore(pulumi.ComponentResource):
    """Realms, no anonymous access, the repositories, cleanup of the proxy, and a role that reads dependencies."""

    def __init__(self, name: str, config: ArtifactStoreConfig) -> None:
        super().__init__("forgeline:component:ArtifactStore", name)
        child = pulumi.ResourceOptions(parent=self)
        self.ready: list[pulumi.Resource] = []
        cleanup: list[pulumi.Output[str]] | None = None
        if config.instance:
            self.ready += [
                nexus.Realms("realms", realms=[AUTHENTICATING_REALM], opts=child),
                nexus.AnonymousAccess("anonymous", enabled=False, opts=child),
            ]
            unused = nexus.CleanupPolicy(
                "unused-dependencies",
                name="unused-dependencies",
                format="maven2",
                notes="Dependencies that nobody fetched any more",
                last_downloaded=config.proxy_days,
                opts=child,
            )
            cleanup = [unused.name]
        proxy = nexus.Repository(
            MAVEN_PROXY,
            name=MAVEN_PROXY,
            format="maven2",
            type="proxy",
            remote_url=config.maven_upstream,
            version_policy="release",
            layout_policy="permissive",
            cleanup_policies=cleanup,
            opts=child,
        )
        releases = nexus.Repository(
            MAVEN_RELEASES,
            name=MAVEN_RELEASES,
            format="maven2",
            type="hosted",
            write_policy="allow_once",
            version_policy="release",
            layout_policy="strict",
            opts=child,
        )
        group = nexus.Repository(
            MAVEN_GROUP,
            name=MAVEN_GROUP,
            format="maven2",
            type="group",
            members=[releases.name, proxy.name],
            opts=child,
        )
        raw = nexus.Repository(
            RAW_RELEASES, name=RAW_RELEASES, format="raw", type="hosted", write_policy="allow_once", opts=child
        )
        reader = _reading(READER, "Reads dependencies", [group], child)
        deployer = _reading(DEPLOYER, "Reads releases", [raw, releases], child)
        self.ready += [group, reader, deployer]
        self.register_outputs({})


def _reading(
    name: str, description: str, repositories: list[nexus.Repository], opts: pulumi.ResourceOptions
) -> nexus.Role:
    """A role that reads these repositories, by the privileges that Nexus makes with each."""
    privileges = [
        pulumi.Output.concat("nx-repository-view-", repository.format, "-", repository.name, "-", action)
        for repository in repositories
        for action in ("browse", "read")
    ]
    return nexus.Role(name, role_id=name, name=name, description=description, privileges=privileges, opts=opts)
