"""Where a service's artifact is in Nexus: what `publish` writes and a deployment reads."""

from __future__ import annotations

from typing import Final

from infra.core.naming import MAVEN_RELEASES, RAW_RELEASES
from pipelines.catalogue import Language, Service

MAVEN_GROUP_ID: Final = "com.forgeline.trading"


def artifact_path(service: Service, version: str) -> str:
    """`REPOSITORY/PATH` of the service's artifact, below `/repository/`. Its SHA-256 is beside it in `.sha256`."""
    if service.language is Language.JAVA:
        group = MAVEN_GROUP_ID.replace(".", "/")
        return f"{MAVEN_RELEASES}/{group}/{service.name}/{version}/{service.name}-{version}.jar"
    return f"{RAW_RELEASES}/{service.name}/{version}/{service.name}-{version}.tar.gz"


def sbom_path(service: Service, version: str) -> str:
    """`REPOSITORY/PATH` of the CycloneDX document that is published beside the artifact."""
    artifact = artifact_path(service, version)
    folder, _, _ = artifact.rpartition("/")
    suffix = "-cyclonedx.json" if service.language is Language.JAVA else ".cdx.json"
    return f"{folder}/{service.name}-{version}{suffix}"
