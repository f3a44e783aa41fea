"""The page about delivery in a service's first commit: pipelines, environments, access, the way back."""

from __future__ import annotations

from typing import Final

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from infra.core import naming
from infra.core.settings import ROOT, Settings
from pipelines.artifact import artifact_path
from pipelines.catalogue import Service
from pipelines.onboarding import environments_of
from pipelines.skeleton import code_owners

PAGE: Final = "docs/delivery.md"
"""Where it is in the service's repository."""


def service_page(service: Service, settings: Settings) -> str:
    """The page, in Markdown."""
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(ROOT / "templates" / "docs"),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown; what is put in was checked by the catalogue
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    repository, _, path = artifact_path(service, "VERSION").partition("/")
    environments = environments_of(service, settings)
    return environment.get_template("delivery.md.j2").render(
        name=service.name,
        description=service.description,
        owners=code_owners(service.owners, service.base_group),
        tier=str(service.tier),
        coverage_floor=service.coverage_floor,
        project_url=f"{settings.gitlab_url}/{service.project}",
        pipeline_place=service.pipeline_place(service.pipeline),
        pipelines_project=naming.under(settings.base_group, naming.PIPELINES_PROJECT),
        environments=environments,
        build_role=naming.build_role(service.name),
        publish_role=naming.publish_role(service.name),
        deploy_roles={
            shown["environment"]: naming.deploy_role(service.name, shown["environment"]) for shown in environments
        },
        secrets=f"{naming.KV_MOUNT}/services/{service.name}/",
        openbao_url=settings.openbao_url,
        nexus_url=settings.nexus_url,
        artifacts=f"{repository}/{path.partition('/VERSION/')[0]}/",
    )
