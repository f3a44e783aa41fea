"""A service: its project, its jobs' access, where it publishes, and the first content of its repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.core.naming import MAIN, publish_role, service_stack
from infra.programs.gate import ARTIFACTS, IDENTITY, Gates
from infra.programs.stack import Layer, Stack

if TYPE_CHECKING:
    import pulumi

    from infra.components.project import ServiceProject

SEED_MESSAGE = "Begin the service"
"""The first commit of a service's repository."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """All that a service's resources depend on. `seed` maps a path to the text that an empty repository begins with."""

    name: str
    repository: str
    """The full path of its project."""
    description: str
    pipeline_place: str
    """Its file in the pipeline release that it is on, as GitLab's setting `ci_config_path` has it."""
    nightly: str
    """When its dependencies are looked at anew: a cron expression in UTC. Empty where there is nothing to look at."""
    openbao_url: str
    """The audience of its jobs' tokens."""
    seed: Mapping[str, str]
    """Empty for a service that came with a repository of its own."""
    executable: tuple[str, ...] = ()
    """Paths of the seed that are programs."""
    environments: tuple[str, ...] = ("dev",)
    topics: tuple[str, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    """The groups of the teams that own it, by team: their members are its developers."""
    retired: bool = False
    """It runs nowhere any more: the project is archived, and all that gave access is taken away."""


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
    """Declares the service. The first push comes late, for it starts the first pipeline.

    Of a service that is retired only the project stays, with its protections and content: the rest is removed.
    """
    import pulumi

    from infra.components.project import NIGHTLY, ServiceProject, ServiceProjectConfig
    from infra.provider.resource import gitlab

    top = pulumi.ResourceOptions()
    service = ServiceProject(
        inputs.name,
        ServiceProjectConfig(
            service=inputs.name,
            path=inputs.repository,
            description=inputs.description,
            pipeline_place=inputs.pipeline_place,
            topics=inputs.topics,
            owners=inputs.owners,
            archived=inputs.retired,
        ),
        top,
    )
    ready = [*service.ready, *([] if inputs.retired else _access(inputs, service, gates, top))]
    if inputs.seed:
        seed = gitlab.RepositoryFiles(
            f"{inputs.name}-seed",
            project=service.project.path,
            branch=MAIN,
            files=dict(inputs.seed),
            executable=list(inputs.executable),
            message=SEED_MESSAGE,
            mode="seed",
            # Once it is there it belongs to the service's team: a newer skeleton changes nothing in it.
            opts=pulumi.ResourceOptions(depends_on=ready, ignore_changes=["files", "executable"]),
        )
        ready = [seed]
    if inputs.nightly:
        gitlab.PipelineSchedule(
            f"{inputs.name}-nightly",
            project=service.project.path,
            description=NIGHTLY,
            branch=MAIN,
            cron=inputs.nightly,
            # A schedule is of a branch that is there.
            opts=pulumi.ResourceOptions(depends_on=ready),
        )


def _access(
    inputs: Service, service: ServiceProject, gates: Gates, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """What lets the service's jobs read, publish and deploy."""
    from infra.components.access import ServiceAccess, ServiceAccessConfig
    from infra.components.publisher import Publisher, PublisherConfig

    access = ServiceAccess(
        inputs.name,
        ServiceAccessConfig(
            service=inputs.name,
            project_id=service.project.project_id.apply(str),
            audience=inputs.openbao_url,
            environments=inputs.environments,
        ),
        opts,
    )
    role = gates.hold(ARTIFACTS, publish_role(inputs.name))
    publisher = Publisher(inputs.name, PublisherConfig(service=inputs.name, role=role), opts)
    return [*access.roles, publisher.role]
