"""Removing groups and projects, which GitLab does later, or only after a delay, unless told twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gitlab.exceptions import GitlabDeleteError

from infra.clients.gitlab import GitLab
from infra.core.error import ServerError

PATIENCE = 60.0
"""Seconds that GitLab may take to remove what it said it will."""


def delete_absent_ok(delete: Callable[[], object]) -> None:
    """Deletes; what is gone already is fine."""
    try:
        delete()
    except GitlabDeleteError as error:
        if error.response_code != 404:
            raise


def remove(manager: Any, path: str, find: Callable[[], Any]) -> None:
    """Deletes the group or project at `path` and returns when it is gone. Raises ServerError if it stays."""
    delete_absent_ok(lambda: manager.delete(path))
    deadline = time.monotonic() + PATIENCE
    asked = False
    while (left := find()) is not None:
        scheduled = getattr(left, "marked_for_deletion_on", None) or getattr(left, "marked_for_deletion_at", None)
        if scheduled and not asked:
            # Deletion is delayed by days on some servers; a second request with the exact path does it now.
            full_path = getattr(left, "path_with_namespace", None) or left.full_path
            now = partial(manager.delete, path, permanently_remove=True, full_path=full_path)
            delete_absent_ok(now)
            asked = True
        if time.monotonic() > deadline:
            raise ServerError(
                f"GitLab has not removed it in {PATIENCE:.0f} s",
                where=path,
                fix="remove it by hand, then run this again",
            )
        time.sleep(0.1)


def project_gone(gitlab: GitLab, path: str) -> None:
    """Removes the project at `path`."""
    remove(gitlab.api.projects, path, lambda: gitlab.find_project(path))
