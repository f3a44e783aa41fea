"""A release of the generated pipelines: files in `platform/pipelines`, under a protected tag that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.core.naming import PIPELINES_PROJECT
from infra.provider.gitlab.tree import blob_ids
from infra.provider.resource import gitlab

BRANCH = "main"


@dataclass(frozen=True, kw_only=True)
class PipelineReleaseConfig:
    """`version` is the tag, such as v1.0.0; `files` maps a path in the repository to its text."""

    group: pulumi.Input[str]
    version: str
    files: Mapping[str, str]


class PipelineRelease(pulumi.ComponentResource):
    """The project, its protections, the files on its main branch, and the tag that services name."""

    def __init__(self, name: str, config: PipelineReleaseConfig) -> None:
        super().__init__("forgeline:component:PipelineRelease", name)
        child = pulumi.ResourceOptions(parent=self)
        path = PIPELINES_PROJECT.rpartition("/")[2]
        self.project = gitlab.Project(
            PIPELINES_PROJECT,
            path=pulumi.Output.concat(config.group, "/", path),
            description="Generated pipelines: a release is a protected tag",
            visibility="internal",
            opts=child,
        )
        self.branch = gitlab.ProtectedBranch(
            f"{PIPELINES_PROJECT}-{BRANCH}",
            project=self.project.path,
            branch=BRANCH,
            push_access_level="maintainer",
            merge_access_level="maintainer",
            opts=child,
        )
        self.tags = gitlab.ProtectedTag(
            f"{PIPELINES_PROJECT}-tags",
            project=self.project.path,
            tag="v*",
            create_access_level="maintainer",
            opts=child,
        )
        self.files = gitlab.RepositoryFiles(
            f"{PIPELINES_PROJECT}-files",
            project=self.project.path,
            branch=BRANCH,
            files=dict(config.files),
            message=f"Release {config.version}",
            opts=child,
        )
        # A newer release does not take the older ones away: services may still be on them.
        kept = pulumi.ResourceOptions(parent=self, depends_on=[self.files, self.tags], retain_on_delete=True)
        self.tag = gitlab.Tag(
            f"{PIPELINES_PROJECT}-{config.version}",
            project=self.project.path,
            tag=config.version,
            ref=BRANCH,
            message=f"Pipelines {config.version}",
            blobs=blob_ids(config.files),
            opts=kept,
        )
        self.register_outputs({})
