"""Which jobs of a service may get which credentials: OpenBao's policies and JWT roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.core.naming import DEPLOYER, JWT_MOUNT, KV_MOUNT, NEXUS_MOUNT, READER, build_role, deploy_role, publish_role
from infra.provider.resource import vault

RELEASE_ENVIRONMENTS = ("staging", "production")
"""Environments that only pipelines of release tags deploy to."""

TOKEN_SECONDS = 900
"""How long a job may use its OpenBao token: 15 minutes."""


@dataclass(frozen=True, kw_only=True)
class JobRoleConfig:
    """`claims` are what the job's token must say beside its project; `rules` what its bearer may do, in HCL."""

    project_id: pulumi.Input[str]
    audience: str
    claims: Mapping[str, str]
    rules: str


class JobRole(pulumi.ComponentResource):
    """A policy and the JWT role that gives it."""

    def __init__(self, name: str, config: JobRoleConfig, opts: pulumi.ResourceOptions) -> None:
        super().__init__("forgeline:component:JobRole", name, opts=opts)
        child = pulumi.ResourceOptions(parent=self)
        self.policy = vault.Policy(f"policy-{name}", name=name, rules=config.rules, opts=child)
        self.role = vault.JwtRole(
            f"role-{name}",
            mount=JWT_MOUNT,
            name=name,
            bound_audiences=[config.audience],
            bound_claims={"project_id": config.project_id, **config.claims},
            user_claim="project_path",
            token_policies=[self.policy.name],
            token_ttl=TOKEN_SECONDS,
            token_max_ttl=TOKEN_SECONDS,
            opts=child,
        )
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class ServiceAccessConfig:
    """The service, its project's number, the audience its tokens carry, and where it is deployed."""

    service: str
    project_id: pulumi.Input[str]
    audience: str
    environments: tuple[str, ...]


class ServiceAccess(pulumi.ComponentResource):
    """Build on any ref reads dependencies; publish on protected refs; deploy on protected refs in one environment, from
    staging on only on protected tags.
    """

    def __init__(self, name: str, config: ServiceAccessConfig, opts: pulumi.ResourceOptions) -> None:
        super().__init__("forgeline:component:ServiceAccess", name, opts=opts)
        service, protected = config.service, {"ref_protected": "true"}
        roles = {
            build_role(service): ({}, _reads(f"{NEXUS_MOUNT}/creds/{READER}")),
            publish_role(service): (
                protected,
                _reads(
                    f"{NEXUS_MOUNT}/creds/{publish_role(service)}",
                    f"{KV_MOUNT}/data/services/{service}/*",
                ),
            ),
        }
        for environment in config.environments:
            # What comes after an approval is for release tags alone; which environment it is, is part of the token.
            ref = {"ref_type": "tag"} if environment in RELEASE_ENVIRONMENTS else {}
            claims = {**protected, **ref, "environment": environment}
            roles[deploy_role(service, environment)] = (claims, _reads(f"{NEXUS_MOUNT}/creds/{DEPLOYER}"))
        self.roles: list[pulumi.Resource] = [
            JobRole(
                role,
                JobRoleConfig(project_id=config.project_id, audience=config.audience, claims=claims, rules=rules),
                pulumi.ResourceOptions(parent=self),
            ).role
            for role, (claims, rules) in roles.items()
        ]
        self.register_outputs({})


def _reads(*paths: str) -> str:
    """A policy that reads these paths and nothing else."""
    return "".join(f'path "{path}" {{\n  capabilities = ["read"]\n}}\n' for path in paths)
