"""A repository's files by one listing, with the ids that `infra.core.blob` gives to texts."""

from __future__ import annotations

from typing import Any

from gitlab.exceptions import GitlabGetError


def listed(project: Any, ref: str) -> dict[str, str]:
    """Path to blob id of every file at `ref`; empty where there is no such ref or no commit yet."""
    try:
        entries = project.repository_tree(ref=ref, recursive=True, per_page=100, iterator=True)
        return {entry["path"]: entry["id"] for entry in entries if entry["type"] == "blob"}
    except GitlabGetError as error:
        if error.response_code == 404:
            return {}
        raise
