"""How the CI language reads files: from the project's repository and, with the user's rights, from others."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from infra.lab.gitlab import access
from infra.lab.gitlab.access import Identity
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.project import Project, find_project
from pipelines.language.model import ConfigSource, IncludeRef, Missing, MissingFileError

DEFAULT_PATH = ".gitlab-ci.yml"
_REMOTE = re.compile(r"(?P<path>[^@]+)@(?P<project>[^@:]+/[^@:]+)(?::(?P<ref>[^@]+))?")


@dataclass(frozen=True, kw_only=True)
class ConfigPlace:
    """Where a project's pipelines are described: a file of its own, or (`project`) of another one."""

    path: str
    project: str | None = None
    ref: str | None = None

    @classmethod
    def of(cls, project: Project) -> ConfigPlace:
        """From the setting `ci_config_path`: empty, `path` or `path@group/project[:ref]`."""
        setting = project.setting("ci_config_path") or DEFAULT_PATH
        match = _REMOTE.fullmatch(setting)
        if match is None:
            return cls(path=setting)
        return cls(path=match["path"], project=match["project"], ref=match["ref"])

    def uri(self, host: str, project: Project, ref_path: str) -> str | None:
        """The claim `ci_config_ref_uri`; None for a file of another project, as in GitLab."""
        return None if self.project else f"{host}/{project.full_path}//{self.path}@{ref_path}"


class RepositoryFiles:
    """`ci.model.Files` on the repositories in `folder`, with the rights of `identity`."""

    def __init__(self, session: Session, folder: Path, identity: Identity, project: Project, sha: str) -> None:
        self._session = session
        self._folder = folder
        self._identity = identity
        self._project = project
        self._sha = sha

    def fetch(self, ref: IncludeRef) -> str:
        """The text of the file. Raises MissingFileError."""
        repository, revision = self._find(ref.project, ref.ref)
        content = repository.read_file(revision, ref.path)
        if content is None:
            raise MissingFileError(Missing.FILE)
        return content.decode(errors="replace")

    def paths(self, project: str | None, ref: str | None) -> Collection[str]:
        """Paths of all files of the project at the ref. Raises MissingFileError."""
        repository, revision = self._find(project, ref)
        return repository.list_files(revision)

    def _find(self, path: str | None, ref: str | None) -> tuple[Repository, str]:
        if path is None:
            return Repository(self._folder / f"{self._project.id}.git"), self._sha
        project = find_project(self._session, path) if "/" in path else None
        if (
            project is None
            or not access.sees_project(self._session, self._identity, project)
            or not access.reads_code(self._session, self._identity, project)
        ):
            raise MissingFileError(Missing.PROJECT)
        repository = Repository(self._folder / f"{project.id}.git")
        revision = repository.resolve(ref or project.default_branch)
        if revision is None:
            raise MissingFileError(Missing.REF)
        return repository, revision


def config_source(place: ConfigPlace, files: RepositoryFiles) -> ConfigSource | None:
    """What to compile; None when the project has no CI configuration.

    A file of another project is an `include` of it, as in GitLab: it is read with the user's rights, and what is
    wrong with it is said in the same words.
    """
    if place.project is not None:
        include = {"project": place.project, "file": place.path} | ({"ref": place.ref} if place.ref else {})
        return ConfigSource(text=json.dumps({"include": [include]}), files=files)
    own = IncludeRef(path=place.path)
    try:
        text = files.fetch(own)
    except MissingFileError:
        return None
    return ConfigSource(text=text, files=files, place=own) if text.strip() else None
