"""Secrets that stand in the file, where everybody who may read it and every log has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pipelines.rules.rule import Spot, rule
from pipelines.script import Location
from pipelines.subject import Path_, Subject

FORMATS: Final = (
    ("a GitLab token", "gl", re.compile(r"\bgl(?:pat|ptt|dt|rt|cbt|soat|ft|imt|agent)-[0-9A-Za-z_-]{20,}")),
    ("a GitHub token", "gh", re.compile(r"\bgh[pousr]_[0-9A-Za-z]{36}")),
    ("a GitHub token", "github_pat_", re.compile(r"\bgithub_pat_[0-9A-Za-z_]{22,}")),
    ("an AWS key", "AKIA", re.compile(r"\bAKIA[0-9A-Z]{16}\b")),
    ("an AWS key", "ASIA", re.compile(r"\bASIA[0-9A-Z]{16}\b")),
    ("a private key", "PRIVATE KEY", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")),
    ("a Slack token", "xox", re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{10,}")),
    ("a Vault token", "hv", re.compile(r"\bhv[sb]\.[0-9A-Za-z_-]{24,}")),
    ("an npm token", "npm_", re.compile(r"\bnpm_[0-9A-Za-z]{36}\b")),
    ("a PyPI token", "pypi-", re.compile(r"\bpypi-[0-9A-Za-z_-]{40,}")),
    ("a Google API key", "AIza", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("a Stripe key", "k_live_", re.compile(r"\b[rs]k_live_[0-9A-Za-z]{20,}")),
    ("a JSON web token", "eyJ", re.compile(r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}")),
    ("a password in an address", "://", re.compile(r"://[^/\s:@$'\"<>]+:[^/\s:@$'\"<>%{]{3,}@")),
)
"""Formats by which a secret is known wherever it stands, each with a part that is quickly looked for."""

_NAME = re.compile(r"(?i)(passw(or)?d|passphrase|secret|token|api_?key|private_?key|access_?key|credential)s?$")
_ASSIGNMENT = re.compile(
    r"(?i)\b(?P<name>\w*(?:passw(?:or)?d|passphrase|secret|token|api_?key|private_?key|access_?key))="
    r"(?P<quote>['\"]?)(?P<value>[^\s'\"$`(){};|&<>]{6,})(?P=quote)(?:\s|;|$)"
)
_HINT = re.compile(r"(?i)passw|passphrase|secret|token|key")
_HARMLESS = re.compile(
    r"(?i)^(true|false|none|null|yes|no|\d{1,5}|changeme|example.*|dummy.*|x+|\*+|<.*>|/.*|\./.*|https?://.*)$"
)
_LENGTH_LIMIT = 4096


@rule(
    "secret-in-plain-text",
    remedy="revoke it, and let the job fetch it from the vault with an ID token, or put it in a masked variable",
)
def no_secret_is_written_down(subject: Subject) -> Iterator[Spot]:
    """No password, token or key is written in the file."""
    seen: set[tuple[str, int]] = set()
    for what, location in (*_by_format(subject), *_by_variable(subject), *_by_assignment(subject)):
        if (location.file, location.line) not in seen:
            seen.add((location.file, location.line))
            yield Spot(message=f"{what} is written in the file", location=location)


def _by_format(subject: Subject) -> Iterator[tuple[str, Location]]:
    text = subject.text
    for what, part, pattern in FORMATS:
        for match in pattern.finditer(text) if part in text else ():
            line, column = text.count("\n", 0, match.start()) + 1, match.start() - text.rfind("\n", 0, match.start())
            yield what, Location(file=subject.file, line=line, column=column)


def _by_variable(subject: Subject) -> Iterator[tuple[str, Location]]:
    holders: list[tuple[Path_, Any]] = [((), subject.merged), *(((name,), job) for name, job in subject.jobs.items())]
    for path, holder in holders:
        variables = holder.get("variables")
        for name, value in variables.items() if isinstance(variables, dict) else ():
            text = value.get("value") if isinstance(value, dict) else value
            if _NAME.search(name) and isinstance(text, str) and _is_literal(text):
                yield f"the value of {name}", subject.at(*path, "variables", name)


def _by_assignment(subject: Subject) -> Iterator[tuple[str, Location]]:
    for _, script in subject.scripts:
        for number, line in enumerate(script.lines, 1):
            text = line.text[:_LENGTH_LIMIT]
            match = _ASSIGNMENT.search(text) if "=" in text and _HINT.search(text) else None
            if match and _is_literal(match["value"]):
                yield f"the value of {match['name']}", script.at(number)


def _is_literal(text: str) -> bool:
    return len(text) >= 6 and "$" not in text and not _HARMLESS.match(text)
