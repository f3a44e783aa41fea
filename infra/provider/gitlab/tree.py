"""A repository's files as git names them, so that thousands are compared by one listing instead of one request each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from gitlab.exceptions import GitlabGetError


def blob_id(text: str) -> str:
    """The id under which git stores this text (SHA-1 of `blob LENGTH NUL` and the content)."""
    content = text.encode()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def blob_ids(files: Mapping[str, str]) -> dict[str, str]:
    """Path to blob id."""
    return {path: blob_id(text) for path, text in sorted(files.items())}


def listed(project: Any, ref: str) -> dict[str, str]:
    """Path to blob id of every file at `ref`; empty where there is no such ref or no commit yet."""
    try:
        entries = project.repository_tree(ref=ref, recursive=True, per_page=100, iterator=True)
        return {entry["path"]: entry["id"] for entry in entries if entry["type"] == "blob"}
    except GitlabGetError as error:
        if error.response_code == 404:
            return {}
        raise
