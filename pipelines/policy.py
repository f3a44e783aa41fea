"""What dependencies must keep to: which licences, and from which severity on an advisory stops a pipeline."""

from __future__ import annotations

import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from infra.core.document import load
from infra.core.settings import ROOT

POLICY: Final = ROOT / "pipelines" / "policy.yaml"

LicenseId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,60}$")]


class Severity(StrEnum):
    """How bad an advisory is, from the least on: the words of GitHub's advisories."""

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    CRITICAL = "critical"


class WithoutAdvisories(StrEnum):
    """What an audit does that has no database of advisories."""

    FAIL = "fail"
    PASS = "pass"  # noqa: S105 - a verdict, no password


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LicenseException(_Model):
    """A component that is let through until a day."""

    component: Annotated[str, Field(pattern=r"^pkg:[a-z]+/[A-Za-z0-9@%._~/-]{1,200}$")]
    """Its package URL without the version."""
    license: Annotated[str, Field(min_length=1, max_length=200)]
    """What its SBOM says: another licence than this is not let through."""
    reason: Annotated[str, Field(min_length=10, max_length=500)]
    expires: datetime.date
    """The last day on which it holds."""


class LicensePolicy(_Model):
    """Which licences components may have."""

    allowed: Annotated[tuple[LicenseId, ...], Field(min_length=1)]
    exceptions: tuple[LicenseException, ...] = ()


class AuditPolicy(_Model):
    """What an audit of dependencies does."""

    without_advisories: WithoutAdvisories = WithoutAdvisories.FAIL
    fail_from: Severity = Severity.MODERATE


class Policy(_Model):
    """The file `pipelines/policy.yaml`."""

    licenses: LicensePolicy
    audit: AuditPolicy = AuditPolicy()


def load_policy(path: Path = POLICY) -> Policy:
    """The policy in `path`. Raises InvalidDocumentError with every error at its line."""
    return load(path, Policy)
