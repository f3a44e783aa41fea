"""The repository around a pipeline file: where its local includes and `rules:exists` look."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import Final

from pipelines.language.model import IncludeRef, Missing, MissingFileError

FILE_LIMIT: Final = 10_000
"""Files of a foreign repository that `rules:exists` and wildcards are looked up in."""


class NoFiles:
    """A file that stands alone."""

    def fetch(self, ref: IncludeRef) -> str:
        """No file is there."""
        raise MissingFileError(Missing.PROJECT if ref.project else Missing.FILE)

    def paths(self, project: str | None, ref: str | None) -> Collection[str]:  # noqa: ARG002 - the protocol's
        """No path is there."""
        return ()


class Beside:
    """The files of the repository that a file is in: the nearest folder above it with `.git`, or its own."""

    def __init__(self, file: Path) -> None:
        folder = file.resolve().parent
        self.root = next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)

    def fetch(self, ref: IncludeRef) -> str:
        """The text of a file below the root."""
        path = (self.root / ref.path).resolve()
        if ref.project or not path.is_relative_to(self.root):
            raise MissingFileError(Missing.PROJECT if ref.project else Missing.FILE)
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError) as error:
            raise MissingFileError(Missing.FILE) from error

    def paths(self, project: str | None, ref: str | None) -> Collection[str]:
        """Paths of the files below the root, up to a limit."""
        if project or ref:
            raise MissingFileError(Missing.PROJECT)
        found = (one for one in self.root.rglob("*") if ".git" not in one.parts and one.is_file())
        return [str(one.relative_to(self.root)) for one in islice(found, FILE_LIMIT)]
