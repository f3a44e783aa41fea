"""The names that Forgeline derives, in one place, so that no two modules spell one differently."""

from __future__ import annotations

import re

from infra.core.secret import SecretRef

SERVICE_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
SERVICE_NAME_LIMIT = 40

PLATFORM_GROUP = "platform"
SERVICES_GROUP = "trading"
PIPELINES_PROJECT = "platform/pipelines"
TEAMS_GROUP = "teams"

KV_MOUNT = "forgeline"
JWT_MOUNT = "gitlab"
NEXUS_MOUNT = "nexus"
NEXUS_PLUGIN = "openbao-plugin-secrets-nexus"
TRANSIT_MOUNT = "transit"
EVIDENCE_KEY = "evidence"

MAVEN_GROUP = "maven-group"
MAVEN_PROXY = "maven-central"
MAVEN_RELEASES = "maven-releases"
RAW_RELEASES = "raw-releases"

GITLAB_ROOT = "platform/gitlab-root"
NEXUS_ADMIN = "platform/nexus-admin"
RUNNER_TOKEN = SecretRef("platform/runner", "token")


def under(base: str, path: str) -> str:
    """The full path of a group or project in a GitLab where everything is made below the group `base`."""
    return f"{base}/{path}" if base else path


def service_project(name: str) -> str:
    """The full path of a service's GitLab project."""
    return f"{SERVICES_GROUP}/{name}"


MAIN = "main"
"""The branch of a service's repository that its pipeline brings to test."""


def team_group(name: str) -> str:
    """The full path of a team's GitLab group."""
    return f"{TEAMS_GROUP}/{name}"


def dependency_variable(name: str) -> str:
    """The environment variable that tells a service the address of the service `name`: `MARKET_DATA_URL`."""
    return f"{name.replace('-', '_').upper()}_URL"


def pipeline_place(name: str, version: str, base: str = "") -> str:
    """Where a service's pipeline is, as GitLab's project setting `ci_config_path` has it."""
    return f"{name}.yml@{under(base, PIPELINES_PROJECT)}:{version}"


def service_stack(name: str) -> str:
    """The Pulumi stack of a service."""
    return f"service-{name}"


def container_name(profile: str, server: str) -> str:
    """The container of a profile's server; its volume is called the same."""
    return f"forgeline-{profile}-{server}"


def publish_role(name: str) -> str:
    """The role under which a service publishes: in Nexus, in OpenBao's JWT auth and in its Nexus secrets engine."""
    return f"publish-{name}"


READER = "reader"
"""Nexus role and OpenBao's Nexus role: reads the Maven group, for builds."""

DEPLOYER = "deployer"
"""Nexus role and OpenBao's Nexus role: reads the hosted repositories, for deployments."""


def build_role(name: str) -> str:
    """OpenBao's JWT role of a service's build jobs on any ref: may read `nexus/creds/reader`."""
    return f"build-{name}"


def deploy_role(name: str, environment: str) -> str:
    """OpenBao's JWT role of a service's deploy job of one environment: may read `nexus/creds/deployer`."""
    return f"deploy-{name}-{environment}"
