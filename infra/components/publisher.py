"""Where a service may publish: its own paths in the hosted repositories, by users that live for minutes."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from infra.core.naming import MAVEN_RELEASES, NEXUS_MOUNT, RAW_RELEASES, READER, publish_role
from infra.provider.resource import nexus, vault

MAVEN_GROUP_PATH = "com/forgeline/trading"
"""The services' Maven group, as a path."""


@dataclass(frozen=True, kw_only=True)
class PublisherConfig:
    """`role` is the Nexus role's name; it may be known only when the platform's repositories are there."""

    service: str
    role: pulumi.Input[str]


class Publisher(pulumi.ComponentResource):
    """Content selector, privileges and role in Nexus, and OpenBao's role that makes users with it."""

    def __init__(self, name: str, config: PublisherConfig, opts: pulumi.ResourceOptions) -> None:
        super().__init__("forgeline:component:Publisher", name, opts=opts)
        child = pulumi.ResourceOptions(parent=self)
        service, role_name = config.service, publish_role(config.service)
        selector = nexus.ContentSelector(
            f"paths-{service}",
            name=config.role,
            description=f"What {service} publishes",
            expression=(
                f'(format == "raw" and path =^ "/{service}/")'
                f' or (format == "maven2" and path =^ "/{MAVEN_GROUP_PATH}/{service}/")'
            ),
            opts=child,
        )
        privileges = [
            nexus.Privilege(
                f"{role_name}-{format_name}",
                name=f"{role_name}-{format_name}",
                type="repository-content-selector",
                description=f"{service} publishes to {repository}",
                format=format_name,
                repository=repository,
                content_selector=selector.name,
                actions=["add", "browse", "edit", "read"],
                opts=child,
            )
            for format_name, repository in (("maven2", MAVEN_RELEASES), ("raw", RAW_RELEASES))
        ]
        role = nexus.Role(
            role_name,
            role_id=config.role,
            name=config.role,
            description=f"Publishes {service}",
            privileges=[privilege.name for privilege in privileges],
            roles=[READER],
            opts=child,
        )
        self.role = vault.NexusRole(
            f"{NEXUS_MOUNT}-{role_name}", mount=NEXUS_MOUNT, name=role_name, roles=[role.role_id], opts=child
        )
        self.register_outputs({})
