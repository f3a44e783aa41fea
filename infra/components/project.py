"""A service's GitLab project: its pipeline lives elsewhere, at a pinned release, out of the service team's reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from infra.core.naming import MAIN, SERVICES_GROUP
from infra.provider.resource import gitlab

NIGHTLY = "Nightly audit"


@dataclass(frozen=True, kw_only=True)
class ServiceProjectConfig:
    """`owners` are the groups of the teams that own the service, by team; an archived one has no owner."""

    service: str
    path: str
    """The project's full path."""
    description: str
    pipeline_place: str
    """Where its pipeline is, as GitLab's setting has it."""
    topics: Sequence[str]
    owners: Mapping[str, str] = field(default_factory=dict)
    archived: bool = False


class ServiceProject(pulumi.ComponentResource):
    """The project, who may merge, push and tag in it."""

    def __init__(self, name: str, config: ServiceProjectConfig, opts: pulumi.ResourceOptions) -> None:
        super().__init__("forgeline:component:ServiceProject", name, opts=opts)
        child = pulumi.ResourceOptions(parent=self)
        path = config.path
        self.project = gitlab.Project(
            path,
            path=path,
            name=config.service,
            description=config.description,
            visibility="private",
            ci_config_path=config.pipeline_place,
            ci_pipeline_variables_minimum_override_role="no_one_allowed",
            only_allow_merge_if_pipeline_succeeds=True,
            topics=[SERVICES_GROUP, *config.topics],
            archived=config.archived,
            opts=child,
        )
        protected: list[pulumi.Resource] = [
            gitlab.ProtectedBranch(
                f"{path}-{MAIN}",
                project=self.project.path,
                branch=MAIN,
                push_access_level="maintainer",
                merge_access_level="developer",
                opts=child,
            ),
            gitlab.ProtectedTag(
                f"{path}-tags", project=self.project.path, tag="v*", create_access_level="maintainer", opts=child
            ),
        ]
        shares = [
            gitlab.ProjectShare(
                f"{path}-{team}",
                project=self.project.path,
                group=group,
                access_level="developer",
                opts=child,
            )
            for team, group in ({} if config.archived else config.owners).items()
        ]
        self.ready: list[pulumi.Resource] = [*protected, *shares]
        self.register_outputs({})
