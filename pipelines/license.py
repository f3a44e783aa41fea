"""Whether what ships may be shipped: licences of components against the policy."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from typing import Final

from infra.core.finding import Finding, Severity
from pipelines.policy import LicensePolicy
from pipelines.sbom import Component

_NAMES: Final = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "isc license": "ISC",
    "mit license": "MIT",
    "the apache license, version 2.0": "Apache-2.0",
    "the apache software license, version 2.0": "Apache-2.0",
    "the mit license": "MIT",
}
"""What authors write instead of an SPDX identifier, where it can mean one licence only."""

_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")


def check_licenses(
    components: Iterable[Component], policy: LicensePolicy, today: datetime.date, file: str
) -> list[Finding]:
    """What the policy has against the components; exceptions that were used are notes."""
    return [finding for component in components for finding in _check(component, policy, today, file)]


def _check(component: Component, policy: LicensePolicy, today: datetime.date, file: str) -> Iterator[Finding]:
    refused = [text for text in component.licenses if not allows(text, frozenset(policy.allowed))]
    if component.licenses and not refused:
        return
    said = " and ".join(refused) or "no licence that is known"
    exception = next((e for e in policy.exceptions if e.component == component.key), None)
    if exception is not None and [exception.license] == (refused or [exception.license]):
        until = exception.expires.isoformat()
        if today <= exception.expires:
            message = f"{component.label}: {said}, let through until {until}: {exception.reason}"
            yield Finding(rule="license", message=message, file=file, severity=Severity.NOTE)
            return
        message = f"{component.label}: {said}; its exception ended on {until}"
    else:
        message = f"{component.label}: {said}"
    fix = "use another component, or ask for an exception in pipelines/policy.yaml, with a reason and a last day"
    yield Finding(rule="license", message=message, file=file, fix=fix)


def allows(text: str, allowed: frozenset[str]) -> bool:
    """Whether the SPDX expression (or an author's words for one licence) is satisfied by allowed licences alone."""
    name = _NAMES.get(text.lower().strip(), text.strip())
    if name in allowed:
        return True
    tokens = _TOKEN.findall(name)
    if len(tokens) < 2:
        return False
    try:
        verdict, rest = _either(tokens, allowed, 0)
    except (IndexError, RecursionError):
        return False
    return verdict and rest == len(tokens)


def _either(tokens: list[str], allowed: frozenset[str], at: int) -> tuple[bool, int]:
    verdict, at = _both(tokens, allowed, at)
    while at < len(tokens) and tokens[at].upper() == "OR":
        other, at = _both(tokens, allowed, at + 1)
        verdict = verdict or other
    return verdict, at


def _both(tokens: list[str], allowed: frozenset[str], at: int) -> tuple[bool, int]:
    verdict, at = _one(tokens, allowed, at)
    while at < len(tokens) and tokens[at].upper() == "AND":
        other, at = _one(tokens, allowed, at + 1)
        verdict = verdict and other
    return verdict, at


def _one(tokens: list[str], allowed: frozenset[str], at: int) -> tuple[bool, int]:
    if tokens[at] == "(":
        verdict, at = _either(tokens, allowed, at + 1)
        if tokens[at] != ")":
            raise IndexError
        return verdict, at + 1
    name = tokens[at]
    if at + 2 < len(tokens) and tokens[at + 1].upper() == "WITH":
        # An exception to a licence only ever permits more.
        return name in allowed, at + 3
    return name in allowed, at + 1
