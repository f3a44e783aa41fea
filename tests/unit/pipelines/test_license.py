"""Licences against the policy, and the policy itself."""

from __future__ import annotations

import datetime

import pytest

from infra.core.document import InvalidDocumentError, parse
from infra.core.finding import Severity
from pipelines.license import allows, check_licenses
from pipelines.policy import LicensePolicy, Policy, load_policy
from pipelines.sbom import Component

TODAY = datetime.date(2026, 11, 24)
ALLOWED = frozenset({"MIT", "Apache-2.0", "BSD-3-Clause"})


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("MIT", True),
        ("MIT License", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR AGPL-3.0-only", False),
        ("MIT AND Apache-2.0", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-2.0-only) AND BSD-3-Clause", True),
        ("MIT OR GPL-2.0-only AND GPL-3.0-only", True),
        ("(MIT OR GPL-2.0-only) AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("see LICENSE", False),
        ("MIT OR", False),
        ("(MIT OR Apache-2.0", False),
        ("(" * 100_000, False),
        ("MIT Apache-2.0", False),
        ("", False),
    ],
    ids=lambda value: value[:45] if isinstance(value, str) else None,
)
def test_expressions(text: str, verdict: bool) -> None:
    assert allows(text, ALLOWED) is verdict


EXCEPTION = {
    "component": "pkg:npm/x",
    "license": "MPL-2.0",
    "reason": "linked unchanged, asked in LEGAL-1",
    "expires": "2026-11-24",
}


def policy(**exception: str) -> LicensePolicy:
    exceptions = [{**EXCEPTION, **exception}]
    return LicensePolicy.model_validate({"allowed": sorted(ALLOWED), "exceptions": exceptions})


def component(*licenses: str) -> Component:
    return Component(name="x", version="1", purl="pkg:npm/x@1", licenses=licenses)


@pytest.mark.parametrize(
    ("licenses", "exception", "severity", "message"),
    [
        (("MPL-2.0",), {}, Severity.NOTE, "pkg:npm/x@1: MPL-2.0, let through until 2026-11-24: linked unchanged"),
        (("MPL-2.0",), {"expires": "2026-11-23"}, Severity.ERROR, "its exception ended on 2026-11-23"),
        (("MPL-2.0",), {"component": "pkg:npm/y"}, Severity.ERROR, "pkg:npm/x@1: MPL-2.0"),
        (("GPL-3.0-only",), {}, Severity.ERROR, "pkg:npm/x@1: GPL-3.0-only"),
        (("MPL-2.0", "GPL-3.0-only"), {}, Severity.ERROR, "pkg:npm/x@1: MPL-2.0 and GPL-3.0-only"),
        (("MIT", "GPL-3.0-only"), {}, Severity.ERROR, "pkg:npm/x@1: GPL-3.0-only"),
        ((), {"component": "pkg:npm/y"}, Severity.ERROR, "pkg:npm/x@1: no licence that is known"),
    ],
)
def test_exceptions(licenses: tuple[str, ...], exception: dict[str, str], severity: Severity, message: str) -> None:
    (finding,) = check_licenses([component(*licenses)], policy(**exception), TODAY, "sbom.cdx.json")
    assert finding.severity is severity
    assert message in finding.message


def test_what_is_allowed_is_no_finding() -> None:
    assert check_licenses([component("MIT", "Apache-2.0")], policy(), TODAY, "x") == []


def test_the_policy_loads() -> None:
    assert "MIT" in load_policy().licenses.allowed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("licenses: {allowed: []}", "licenses.allowed: "),
        ("licenses: {allowed: [a b]}", "licenses.allowed.0: "),
        ("licenses: {allowed: [MIT], exceptions: [{component: 'pkg:npm/x', license: X}]}", "licenses.exceptions.0."),
        ("licenses: {allowed: [MIT]}\naudit: {fail_from: bad}", "audit.fail_from: "),
        ("licenses: {allowed: [MIT]}\naudit: {without_advisories: shrug}", "audit.without_advisories: "),
    ],
)
def test_a_bad_policy_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        parse(text, "policy.yaml", Policy)
    assert caught.value.findings[0].message.startswith(message)
    assert caught.value.findings[0].line > 0
