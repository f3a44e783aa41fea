"""Pipelines out of the catalogue and the templates: one flattened YAML file a service, and a release of all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from infra.core import naming
from infra.core.settings import Settings
from pipelines.artifact import MAVEN_GROUP_ID
from pipelines.catalogue import Catalogue, Environment, Service
from pipelines.skeleton import python_package
from pipelines.template import Templates, default_templates

LOCK: Final = "release.lock.json"
TIMEOUT_MINUTES: Final = 15


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a pipeline is rendered for, besides its service."""

    release: str
    """The pipeline release that is being made: `vX.Y.Z`."""
    tools: Mapping[str, str]
    """Pinned versions of tools that a service's own lock files do not pin."""
    address: str
    """Where the environments' services listen."""
    port_offsets: Mapping[str, int]
    """Added to a service's port, by environment."""

    @classmethod
    def of(cls, catalogue: Catalogue, settings: Settings) -> Self:
        """The context of this checkout's release in the profile of `settings`."""
        return cls(
            release=catalogue.release,
            tools=catalogue.tools,
            address=settings.profile.address,
            port_offsets=settings.profile.environment_port_offsets,
        )

    def url(self, service: Service, environment: Environment) -> str:
        """Where `environment` serves `service`, without a slash at the end."""
        return f"http://{self.address}:{service.port + self.port_offsets[environment]}"


def render_pipeline(service: Service, context: Context, templates: Templates | None = None) -> str:
    """The pipeline of `service`: a complete GitLab CI configuration, the same bytes for the same input."""
    templates = templates or default_templates()
    values = _values(service, context)
    name = f"{service.language}.yml.j2"
    inputs = json.dumps(values, sort_keys=True, ensure_ascii=True).encode()
    header = [
        f"# The pipeline of {service.name}: {service.description}",
        f"# Made by Forgeline from pipelines/catalog/{service.name}.yaml and templates/pipelines/{name}; do not edit.",
        f"# Pipeline release {context.release}; templates sha256 {templates.digest()}; "
        f"inputs sha256 {hashlib.sha256(inputs).hexdigest()}",
    ]
    text = templates.render(name, {**values, "header": "\n".join(header)})
    return text.rstrip("\n") + "\n"


def render_release(catalogue: Catalogue, context: Context, templates: Templates | None = None) -> dict[str, str]:
    """Every file of the release by its path: `NAME.yml` of each service, and the lock with their SHA-256."""
    files = {f"{service.name}.yml": render_pipeline(service, context, templates) for service in catalogue}
    hashes = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in sorted(files.items())}
    lock = {"release": context.release, "sha256": hashes}
    return {**files, LOCK: json.dumps(lock, indent=2, sort_keys=True) + "\n"}


def _values(service: Service, context: Context) -> dict[str, Any]:
    """What the templates see: plain data, nothing with methods of ours."""
    environments = [str(environment) for environment in service.environments]
    return {
        "service": {
            # Which release it is on says nothing about what is rendered: a roll-out changes no file.
            **service.model_dump(mode="json", exclude={"pipeline", "canary", "hold"}),
            "project": service.project,
            "coverage_floor": service.coverage_floor,
        },
        "pipeline": context.release,
        "tools": dict(context.tools),
        "timeout_minutes": service.overrides.timeout_minutes or TIMEOUT_MINUTES,
        "environment_urls": {str(e): context.url(service, e) for e in service.environments},
        "jwt_mount": naming.JWT_MOUNT,
        "nexus_mount": naming.NEXUS_MOUNT,
        "build_role": naming.build_role(service.name),
        "publish_role": naming.publish_role(service.name),
        "deploy_roles": {environment: naming.deploy_role(service.name, environment) for environment in environments},
        "reader": naming.READER,
        "deployer": naming.DEPLOYER,
        "raw_releases": naming.RAW_RELEASES,
        "maven_releases": naming.MAVEN_RELEASES,
        "maven_group_id": MAVEN_GROUP_ID,
        "python_package": python_package(service.name),
    }
