"""Pipelines out of the catalogue and the templates: one flattened YAML file a service, and a release of all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, Self

from infra.core import naming
from infra.core.error import BadInputError
from infra.core.settings import GitLabTier, Settings
from pipelines.artifact import MAVEN_GROUP_ID
from pipelines.catalogue import Catalogue, Environment, Service
from pipelines.override import TIMEOUT_MINUTES
from pipelines.policy import Policy, load_policy
from pipelines.port import check_ports
from pipelines.skeleton import python_package
from pipelines.standard import GATES_BEFORE_PUBLISH, stages
from pipelines.template import Templates, default_templates

LOCK: Final = "release.lock.json"
DEPLOY_MINUTES: Final = 10
VERIFY_SECONDS: Final = 10
"""How long a new version in production is watched before the pipeline is green."""

DEPLOYMENT_TIERS: Final[Mapping[str, str]] = {
    Environment.DEV: "development",
    Environment.TEST: "testing",
    Environment.STAGING: "staging",
    Environment.PRODUCTION: "production",
}
"""GitLab's word for what kind of environment each is."""

_NOT_RENDERED: Final = {"overrides", "repository", "pipeline", "canary", "hold", "seeded"}
"""What says nothing about a service's pipeline."""

_HASH_LINE: Final = "# Content sha256 "


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
    ports: Mapping[str, int]
    """The port of every service, by its name."""
    policy: Policy
    four_eyes: bool = True
    """Whether who approves must be another person than who asks."""
    cyclonedx_report: bool = False
    """Whether GitLab reads SBOMs, which its tier Ultimate does."""
    runner_services: bool = False
    """Whether the runner can start containers beside a job."""

    @classmethod
    def of(cls, catalogue: Catalogue, settings: Settings) -> Self:
        """The context of this checkout's release in the profile of `settings`.

        Raises BadInputError for ports of services that clash.
        """
        profile = settings.profile
        check_ports(catalogue, profile)
        return cls(
            release=catalogue.release,
            tools=catalogue.tools,
            address=settings.environment_address,
            port_offsets=profile.environment_port_offsets,
            ports={service.name: service.port for service in catalogue},
            policy=load_policy(settings.policy),
            four_eyes=profile.approvals.four_eyes,
            cyclonedx_report=profile.gitlab_tier is GitLabTier.ULTIMATE,
            runner_services=profile.runner_services,
        )

    def environments(self, service: Service) -> tuple[str, ...]:
        """The environments of the service, as far as the profile has them without a gap."""
        return tuple(takewhile(self.port_offsets.__contains__, map(str, service.environments)))

    def url(self, port: int, environment: str) -> str:
        """Where `environment` serves the service whose catalogue port is `port`, without a slash at the end."""
        return f"http://{self.address}:{port + self.port_offsets[environment]}"


def render_pipeline(service: Service, context: Context, templates: Templates | None = None) -> str:
    """The pipeline of `service`: a complete GitLab CI configuration, the same bytes for the same input.

    Raises BadInputError for a template that can't be rendered, and for an override that the profile has no means for.
    """
    if service.overrides.services and not context.runner_services:
        raise BadInputError(
            "the runner of this profile runs jobs as processes and can't start containers beside them",
            where=f"{service.name}: overrides.services",
            fix="remove them, or set runner_services in the profile of a runner that can",
        )
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
    return _with_hash(text.rstrip("\n") + "\n", after=len(header))


def pipeline_inputs(service: Service, context: Context) -> str:
    """Everything but the templates that the pipeline of `service` is made of, as one text."""
    return json.dumps(_values(service, context), sort_keys=True)


def _with_hash(text: str, *, after: int) -> str:
    """The text with a line that has the SHA-256 of all others: by it, the job `validate` finds a change by hand."""
    lines = text.split("\n")
    lines.insert(after, _HASH_LINE + hashlib.sha256(text.encode()).hexdigest())
    return "\n".join(lines)


def render_release(catalogue: Catalogue, context: Context, templates: Templates | None = None) -> dict[str, str]:
    """Every file of the release by its path: `NAME.yml` of each service, and the lock with their SHA-256."""
    files = {f"{service.name}.yml": render_pipeline(service, context, templates) for service in catalogue}
    hashes = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in sorted(files.items())}
    lock = {"release": context.release, "sha256": hashes}
    return {**files, LOCK: json.dumps(lock, indent=2, sort_keys=True) + "\n"}


def _values(service: Service, context: Context) -> dict[str, Any]:
    """What the templates see: plain data, nothing with methods of ours."""
    environments = context.environments(service)
    overrides = service.overrides
    # Which release it is on says nothing about what is rendered: a roll-out changes no file.
    described = service.model_dump(mode="json", exclude=_NOT_RENDERED)
    return {
        "service": {
            **described,
            "environments": list(environments),
            "project": service.project,
            "coverage_floor": service.coverage_floor,
        },
        "overrides": overrides.model_dump(mode="json", exclude={"coverage", "timeout_minutes"}),
        "pipeline": context.release,
        "pipeline_place": service.pipeline_place(context.release),
        "stages": list(stages(environments)),
        "gates_before_publish": list(GATES_BEFORE_PUBLISH),
        "tools": dict(context.tools),
        "policy": context.policy.model_dump(mode="json"),
        "approvals": {"four_eyes": context.four_eyes},
        "capabilities": {"cyclonedx_report": context.cyclonedx_report},
        "timeouts": {
            "language": overrides.timeout_minutes or TIMEOUT_MINUTES,
            "deploy": DEPLOY_MINUTES,
            "other": TIMEOUT_MINUTES,
        },
        "verify_seconds": VERIFY_SECONDS,
        "environment_urls": {name: context.url(service.port, name) for name in environments},
        "dependency_urls": {
            name: context.url(context.ports[name], environments[0]) for name in service.dependencies if environments
        },
        "deployment_tiers": {name: DEPLOYMENT_TIERS[name] for name in environments},
        "jwt_mount": naming.JWT_MOUNT,
        "nexus_mount": naming.NEXUS_MOUNT,
        "build_role": naming.build_role(service.name),
        "publish_role": naming.publish_role(service.name),
        "deploy_roles": {name: naming.deploy_role(service.name, name) for name in environments},
        "reader": naming.READER,
        "deployer": naming.DEPLOYER,
        "raw_releases": naming.RAW_RELEASES,
        "maven_releases": naming.MAVEN_RELEASES,
        "maven_group_id": MAVEN_GROUP_ID,
        "python_package": python_package(service.name),
    }
