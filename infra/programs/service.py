"""A service: its project, its jobs' access, where it publishes, and the first content of its repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.core.naming import publish_role, service_stack
from infra.programs.gate import ARTIFACTS, IDENTITY, Gates
from infra.programs.stack import Layer, Stack

SEED_MESSAGE = "Begin the service"
"""The first commit of a service's repository."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """All that a service's resources depend on. `seed` maps a path to the text that an empty repository begins with."""

    name: str
    repository: str
    """The full path of its project."""
    description: str
    pipeline_version: str
    """The pipeline release that it is on: a tag of `platform/pipelines`."""
    openbao_url: str
    """The audience of its jobs' tokens."""
    seed: Mapping[str, str]
    executable: tuple[str, ...] = ()
    """Paths of the seed that are programs."""
    environments: tuple[str, ...] = ("dev",)
    topics: tuple[str, ...] = ()
    developers: tuple[str, ...] = field(default=())


def stack(inputs: Service) -> Stack:
    """The service's stack."""
    return Stack(
        name=service_stack(inputs.name),
        layer=Layer.SERVICE,
        inputs=inputs,
        program=lambda gates: build(inputs, gates),
        waits_for=IDENTITY,
    )


def build(inputs: Service, gates: Gates) -> None:
    """Declares the service. The first push comes last, for it starts the first pipeline."""
    import pulumi

    from infra.components.access import ServiceAccess, ServiceAccessConfig
    from infra.components.project import BRANCH, ServiceProject, ServiceProjectConfig
    from infra.components.publisher import Publisher, PublisherConfig
    from infra.provider.resource import gitlab

    top = pulumi.ResourceOptions()
    service = ServiceProject(
        inputs.name,
        ServiceProjectConfig(
            service=inputs.name,
            path=inputs.repository,
            description=inputs.description,
            pipeline_version=inputs.pipeline_version,
            topics=inputs.topics,
            developers=inputs.developers,
        ),
        top,
    )
    access = ServiceAccess(
        inputs.name,
        ServiceAccessConfig(
            service=inputs.name,
            project_id=service.project.project_id.apply(str),
            audience=inputs.openbao_url,
            environments=inputs.environments,
        ),
        top,
    )
    role = gates.hold(ARTIFACTS, publish_role(inputs.name))
    publisher = Publisher(inputs.name, PublisherConfig(service=inputs.name, role=role), top)
    gitlab.RepositoryFiles(
        f"{inputs.name}-seed",
        project=service.project.path,
        branch=BRANCH,
        files=dict(inputs.seed),
        executable=list(inputs.executable),
        message=SEED_MESSAGE,
        mode="seed",
        # Once it is there it belongs to the service's team: a newer skeleton changes nothing in it.
        opts=pulumi.ResourceOptions(
            depends_on=[*service.ready, *access.roles, publisher.role], ignore_changes=["files", "executable"]
        ),
    )
