"""Names made fit for host names, as GitLab makes them."""

from __future__ import annotations

import hashlib
import re
import string

_NAME_LIMIT = 63
_ENVIRONMENT_LIMIT = 24
_SUFFIX_LENGTH = 6
_BASE36 = string.digits + string.ascii_lowercase


def slug(name: str) -> str:
    """`CI_COMMIT_REF_SLUG`, `CI_JOB_NAME_SLUG`: lower case, at most 63 characters, no hyphen at either end."""
    return re.sub(r"[^a-z0-9]", "-", name.lower())[:_NAME_LIMIT].strip("-")


def environment_slug(name: str) -> str:
    """`CI_ENVIRONMENT_SLUG`: at most 24 characters, with a hash at the end when the name had to be changed."""
    simple = re.sub(r"[^a-z0-9]", "-", name.lower())
    if not re.match(r"[a-z]", simple):
        simple = f"env-{simple}"
    simple = re.sub(r"-+", "-", simple)
    if len(simple) <= _ENVIRONMENT_LIMIT and simple == name:
        return simple.removesuffix("-")
    stem = simple[: _ENVIRONMENT_LIMIT - _SUFFIX_LENGTH - 1]
    return (stem if stem.endswith("-") else f"{stem}-") + _hash(name)


def _hash(name: str) -> str:
    number = int(hashlib.sha256(name.encode()).hexdigest(), 16)
    digits = ""
    for _ in range(_SUFFIX_LENGTH):
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits
