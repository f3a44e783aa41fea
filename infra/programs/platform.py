"""The platform: what is configured in GitLab, OpenBao and Nexus for all services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.core.server_address import Visibility
from infra.programs.gate import ARTIFACTS, IDENTITY, Gates
from infra.programs.stack import Layer, Stack

NAME = "platform"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """OpenBao's plug-in for Nexus: its file in the plug-in folder, and that file's sum."""

    command: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Platform:
    """All that the platform's resources depend on. `pipeline_files` maps a path in the repository to its text."""

    gitlab_url: str
    openbao_url: str
    nexus_url: str
    maven_upstream: str
    pipeline_version: str
    """The release's tag, such as v1.0.0. Its content never changes: other files need another version."""
    pipeline_files: Mapping[str, str]
    nexus_username: str
    """By whom OpenBao makes users in Nexus."""
    nexus_password: str
    """Where that one's password is kept."""
    nexus_plugin: Plugin | None
    """None where others run OpenBao, and put the plug-in into its catalogue."""
    instance: bool = True
    """Whether the servers are Forgeline's as a whole: then their instances' settings are too."""
    base_group: str = ""
    """The group of GitLab below which everything is made; empty for the top."""
    shared_visibility: Visibility = "internal"
    """Who sees what all services share."""
    other_releases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Releases that were published before: path to git blob id, by version."""
    ca_pem: str | None = None
    """The authorities that sign the servers' certificates, if they are not the system's."""
    teams: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The members of each team: names of users in GitLab."""


def stack(inputs: Platform) -> Stack:
    """The platform's stack."""
    return Stack(name=NAME, layer=Layer.PLATFORM, inputs=inputs, program=lambda gates: build(inputs, gates))


def build(inputs: Platform, gates: Gates) -> None:
    """Declares the platform, and opens the gates for the services as its parts are there."""
    import pulumi

    from infra.components.artifact import ArtifactStore, ArtifactStoreConfig
    from infra.components.group import Groups, GroupsConfig
    from infra.components.identity import JobIdentity, JobIdentityConfig, PluginBinary
    from infra.components.release import PipelineRelease, PipelineReleaseConfig
    from infra.core.naming import DEPLOYER, NEXUS_MOUNT, READER
    from infra.provider.resource import vault

    groups = Groups(
        "groups",
        GroupsConfig(
            variables={"OPENBAO_ADDR": inputs.openbao_url, "NEXUS_URL": inputs.nexus_url},
            teams=inputs.teams,
            base=inputs.base_group,
            shared_visibility=inputs.shared_visibility,
            instance=inputs.instance,
        ),
    )
    release = PipelineRelease(
        "pipelines",
        PipelineReleaseConfig(
            group=groups.platform.path,
            visibility=inputs.shared_visibility,
            version=inputs.pipeline_version,
            files=inputs.pipeline_files,
            others=inputs.other_releases,
        ),
    )
    plugin = inputs.nexus_plugin
    identity = JobIdentity(
        "identity",
        JobIdentityConfig(
            gitlab_url=inputs.gitlab_url,
            nexus_url=inputs.nexus_url,
            ca_pem=inputs.ca_pem,
            nexus_username=inputs.nexus_username,
            nexus_password=inputs.nexus_password,
            nexus_plugin=PluginBinary(command=plugin.command, sha256=plugin.sha256) if plugin else None,
        ),
    )
    artifacts = ArtifactStore(
        "artifacts", ArtifactStoreConfig(maven_upstream=inputs.maven_upstream, instance=inputs.instance)
    )
    shared = [
        vault.NexusRole(
            f"{NEXUS_MOUNT}-{role}",
            mount=NEXUS_MOUNT,
            name=role,
            roles=[role],
            opts=pulumi.ResourceOptions(depends_on=identity.ready),
        )
        for role in (READER, DEPLOYER)
    ]
    gates.open_after(
        IDENTITY, [groups.services, *groups.variables, *groups.teams, release.tag, *identity.ready, *shared]
    )
    gates.open_after(ARTIFACTS, [*artifacts.ready, identity.backend])
