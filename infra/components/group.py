"""GitLab's ground: the instance's settings, the two groups, and the addresses that every pipeline needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from infra.core.naming import PLATFORM_GROUP, SERVICES_GROUP, TEAMS_GROUP, team_group, under
from infra.core.server_address import Visibility
from infra.provider.resource import gitlab


@dataclass(frozen=True, kw_only=True)
class GroupsConfig:
    """`variables` are CI variables of the services' group; none of them is a secret. `teams` are members by team."""

    variables: Mapping[str, str]
    teams: Mapping[str, Sequence[str]] = field(default_factory=dict)
    base: str = ""
    """The group below which they are made; empty for the top."""
    shared_visibility: Visibility = "internal"
    """Who sees what all services share."""
    instance: bool = True
    """Whether the whole GitLab is Forgeline's."""


class Groups(pulumi.ComponentResource):
    """The groups `platform`, `trading` and `teams` with one for each team, and the services' variables.

    Sign-up is off where the whole GitLab is Forgeline's.
    """

    def __init__(self, name: str, config: GroupsConfig) -> None:
        super().__init__("forgeline:component:Groups", name)
        child = pulumi.ResourceOptions(parent=self)
        if config.instance:
            gitlab.ApplicationSettings("instance", signup_enabled=False, opts=child)
        self.platform = gitlab.Group(
            PLATFORM_GROUP,
            path=under(config.base, PLATFORM_GROUP),
            name="Platform",
            description="What all services share",
            visibility=config.shared_visibility,
            opts=child,
        )
        self.services = gitlab.Group(
            SERVICES_GROUP,
            path=under(config.base, SERVICES_GROUP),
            name="Trading",
            description="The services of the trading platform",
            visibility="private",
            opts=child,
        )
        self.variables = [
            gitlab.GroupVariable(f"{SERVICES_GROUP}-{key}", group=self.services.path, key=key, value=value, opts=child)
            for key, value in sorted(config.variables.items())
        ]
        self.teams = self._teams(config, child)
        self.register_outputs({})

    def _teams(self, config: GroupsConfig, child: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        top = gitlab.Group(
            TEAMS_GROUP,
            path=under(config.base, TEAMS_GROUP),
            name="Teams",
            description="Who owns the services",
            visibility=config.shared_visibility,
            opts=child,
        )
        made: list[pulumi.Resource] = [top]
        for team, members in sorted(config.teams.items()):
            path = team_group(team)
            group = gitlab.Group(
                path,
                path=pulumi.Output.concat(top.path, "/", team),
                name=team,
                visibility=config.shared_visibility,
                opts=child,
            )
            made.append(group)
            made += [
                gitlab.Member(
                    f"{path}-{username}",
                    holder_type="group",
                    holder=group.path,
                    username=username,
                    access_level="developer",
                    opts=child,
                )
                for username in members
            ]
        return made
