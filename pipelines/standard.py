"""The names that every pipeline shares: its jobs in their order, and which of them are gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SECURITY_JOBS: Final = ("secret-scan", "sast", "dependency-audit", "license-check", "sbom")

STAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "validate": ("validate",),
    "build": ("build",),
    "test": ("unit-test",),
    "quality": ("lint",),
    "security": SECURITY_JOBS,
    "package": ("package",),
    "publish": ("publish",),
    "deploy-dev": ("deploy-dev",),
    "integration-test": ("integration-test",),
    "deploy-test": ("deploy-test",),
    "approve-staging": ("approve-staging",),
    "deploy-staging": ("deploy-staging",),
    "approve-production": ("approve-production",),
    "deploy-production": ("deploy-production",),
    "verify": ("verify-production",),
}
"""The jobs of each stage, all in the order in which they run and are written."""

GATES_BEFORE_PUBLISH: Final = ("validate", "unit-test", "lint", *SECURITY_JOBS)
"""What an artifact must have passed before anybody else can have it."""

GATES: Final = (
    *GATES_BEFORE_PUBLISH,
    "publish",
    "integration-test",
    "deploy-test",
    "approve-staging",
    "approve-production",
)
"""What every way to production passes through."""

EXTENSION_POINTS: Final = ("build", "package")
"""Jobs that are no gates and hold no credentials: the catalogue may add steps before and after what they do."""

LAST_STAGE: Final[Mapping[str, str]] = {
    "dev": "integration-test",
    "test": "deploy-test",
    "staging": "deploy-staging",
    "production": "verify",
}
"""Where the pipeline ends that goes as far as an environment; one that goes nowhere ends with `security`."""


def stages(environments: tuple[str, ...]) -> tuple[str, ...]:
    """The stages of a pipeline that goes through these environments, in order."""
    last = LAST_STAGE[environments[-1]] if environments else "security"
    names = tuple(STAGES)
    return names[: names.index(last) + 1]
