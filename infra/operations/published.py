"""The pipeline releases as GitLab has them: the protected tags of `platform/pipelines` and what they hold."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from gitlab.exceptions import GitlabError

from infra.clients.gitlab import GitLab, absent, explain
from infra.core.blob import blob_id
from infra.core.naming import PIPELINES_PROJECT
from infra.provider.gitlab.tree import listed
from pipelines.release import is_version, version_key

READERS = 16
"""Files read side by side."""


class Releases(Protocol):
    """Where published releases are read."""

    def versions(self) -> list[str]:
        """All of them, the newest last."""

    def blobs(self, version: str) -> Mapping[str, str]:
        """Path to git blob id of everything in the release; empty where there is no such release."""

    def files(self, version: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
        """Path to text of everything in the release; empty where there is no such release.

        `known` are texts that it may hold: what is equal to one of them is not fetched.
        """


class GitLabReleases:
    """The releases in a GitLab. Raises ServerError where GitLab refuses."""

    def __init__(self, gitlab: GitLab) -> None:
        self._gitlab = gitlab
        self._path = gitlab.under(PIPELINES_PROJECT)
        self._project = gitlab.project(self._path)

    def versions(self) -> list[str]:
        """All of them, the newest last; none where the project isn't there."""
        try:
            tags = absent(lambda: self._gitlab.api.projects.get(self._path).tags.list(get_all=True)) or []
        except GitlabError as error:
            raise explain(error, self._path) from error
        return sorted((tag.name for tag in tags if is_version(tag.name)), key=version_key)

    def blobs(self, version: str) -> dict[str, str]:
        """Path to git blob id of everything in the release."""
        try:
            return listed(self._project, version)
        except GitlabError as error:
            raise explain(error, f"{self._path} {version}") from error

    def files(self, version: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
        """Path to text of everything in the release."""
        given = known or {}
        there = self.blobs(version)
        same = {path: text for path, text in given.items() if there.get(path) == blob_id(text)}
        others = sorted(set(there) - set(same))
        with ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="release") as pool:
            fetched = pool.map(lambda path: self._text(path, version), others)
            return {**same, **dict(zip(others, fetched, strict=True))}

    def _text(self, path: str, version: str) -> str:
        try:
            content = self._project.files.get(path, ref=version).content
        except GitlabError as error:
            raise explain(error, f"{self._path} {version} {path}") from error
        return base64.b64decode(content).decode("utf-8", errors="replace")
