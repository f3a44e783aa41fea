"""GitLab's ground: the instance's settings, the two groups, and the addresses that every pipeline needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.core.naming import PLATFORM_GROUP, SERVICES_GROUP
from infra.provider.resource import gitlab


@dataclass(frozen=True, kw_only=True)
class GroupsConfig:
    """`variables` are CI variables of the services' group; none of them is a secret."""

    variables: Mapping[str, str]


class Groups(pulumi.ComponentResource):
    """Sign-up off, the groups `platform` and `trading`, and the services' variables."""

    def __init__(self, name: str, config: GroupsConfig) -> None:
        super().__init__("forgeline:component:Groups", name)
        child = pulumi.ResourceOptions(parent=self)
        self.settings = gitlab.ApplicationSettings("instance", signup_enabled=False, opts=child)
        self.platform = gitlab.Group(
            PLATFORM_GROUP,
            path=PLATFORM_GROUP,
            name="Platform",
            description="What all services share",
            visibility="internal",
            opts=child,
        )
        self.services = gitlab.Group(
            SERVICES_GROUP,
            path=SERVICES_GROUP,
            name="Trading",
            description="The services of the trading platform",
            visibility="private",
            opts=child,
        )
        self.variables = [
            gitlab.GroupVariable(f"{SERVICES_GROUP}-{key}", group=self.services.path, key=key, value=value, opts=child)
            for key, value in sorted(config.variables.items())
        ]
        self.register_outputs({})
