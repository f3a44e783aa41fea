"""A release of the generated pipelines: files in `platform/pipelines`, under a protected tag that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from infra.core.blob import blob_ids
from infra.core.naming import PIPELINES_PROJECT
from infra.core.server_address import Visibility
from infra.provider.resource import gitlab

BRANCH = "main"


@dataclass(frozen=True, kw_only=True)
class PipelineReleaseConfig:
    """`version` is the tag, such as v1.0.0; `files` maps a path in the repository to its text.

    `others` are releases that were published before, as path to git blob id by version.
    """

    group: pulumi.Input[str]
    version: str
    visibility: Visibility
    files: Mapping[str, str]
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class PipelineRelease(pulumi.ComponentResource):
    """The project, its protections, the files on its main branch, and the tags that services name."""

    def __init__(self, name: str, config: PipelineReleaseConfig) -> None:
        super().__init__("forgeline:component:PipelineRelease", name)
        child = pulumi.ResourceOptions(parent=self)
        path = PIPELINES_PROJECT.rpartition("/")[2]
        self.project = gitlab.Project(
            PIPELINES_PROJECT,
            path=pulumi.Output.concat(config.group, "/", path),
            description="Generated pipelines: a release is a protected tag",
            visibility=config.visibility,
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
        self.tag = self._tag(config.version, blob_ids(config.files), [self.files, self.tags])
        # Services may still be on them; and declared, they are looked after: a tag that was moved is drift.
        for version, blobs in sorted(config.others.items()):
            self._tag(version, blobs, [self.tags])
        self.register_outputs({})

    def _tag(self, version: str, blobs: Mapping[str, str], after: list[pulumi.Resource]) -> gitlab.Tag:
        return gitlab.Tag(
            f"{PIPELINES_PROJECT}-{version}",
            project=self.project.path,
            tag=version,
            ref=BRANCH,
            message=f"Pipelines {version}",
            blobs=dict(blobs),
            opts=pulumi.ResourceOptions(parent=self, depends_on=after, retain_on_delete=True),
        )
