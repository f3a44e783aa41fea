"""Files as git names them, so that thousands are compared by one listing instead of one request each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


def blob_id(content: str | bytes) -> str:
    """The id under which git stores this content (SHA-1 of `blob LENGTH NUL` and the content; text as UTF-8)."""
    raw = content.encode() if isinstance(content, str) else content
    return hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()


def blob_ids(files: Mapping[str, str]) -> dict[str, str]:
    """Path to blob id."""
    return {path: blob_id(text) for path, text in sorted(files.items())}
