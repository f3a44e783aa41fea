"""What a newer skeleton does to a service's files: three-way, file by file. Pure: it asks nobody and writes nothing.

The three sides are the skeleton as the service was last brought to it (base), the service's main branch (ours), and the
skeleton now (theirs). The file `.forgeline.yaml` in the service's repository names the base by git blob ids, so its
texts are found in the repository's own history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from infra.core.blob import blob_id, blob_ids
from infra.core.document import parse

LOCK: Final = ".forgeline.yaml"
"""Where a service's repository says which skeleton it was last brought to."""

_HEADER: Final = """\
# Which files the skeleton made, by git blob id: `forgeline services update` tells by it what your team changed.
# Written by Forgeline: leave it as it is.
"""

Merge = Callable[[bytes, bytes, bytes], bytes | None]
"""Base, ours and theirs to what has both changes, or None where they get in each other's way."""

Read = Callable[[str], bytes | None]
"""A blob id to its content, or None where the repository does not have it any more."""


class Lock(BaseModel):
    """The file `.forgeline.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    skeleton: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the whole skeleton."""
    files: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{40} [^ ].*$")], ...]
    """Lines of blob id and path: the id comes first, or scanners take a path with `token` in it for a secret's name."""

    @property
    def blobs(self) -> dict[str, str]:
        """Path to blob id."""
        return {path: blob for blob, _, path in (line.partition(" ") for line in self.files)}


def read_lock(text: str, file: str) -> Lock:
    """The lock in `text`; `file` names it in errors. Raises InvalidDocumentError."""
    return parse(text, file, Lock)


def lock_text(skeleton: Mapping[str, str], blobs: Mapping[str, str] | None = None) -> str:
    """The lock of a service whose files were brought to `blobs`: without them, to the skeleton itself."""
    entries = blob_ids(skeleton) if blobs is None else blobs
    lines = "".join(f"  - {_quoted(f'{blob} {path}')}\n" for path, blob in sorted(entries.items()))
    files = f"\n{lines}" if lines else " []\n"
    return f"{_HEADER}skeleton: {_quoted(digest(skeleton))}\nfiles:{files}"


def with_lock(skeleton: Mapping[str, str]) -> dict[str, str]:
    """The files that a service begins with, and the lock that names them."""
    return {**skeleton, LOCK: lock_text(skeleton)}


def digest(skeleton: Mapping[str, str]) -> str:
    """SHA-256 of a skeleton: of the paths and texts of all its files."""
    whole = hashlib.sha256()
    for path, text in sorted(skeleton.items()):
        whole.update(path.encode() + b"\0" + text.encode() + b"\0")
    return whole.hexdigest()


class Fate(StrEnum):
    """What becomes of a file."""

    REPLACED = "replaced"
    """The skeleton changed it, the team did not."""
    MERGED = "merged"
    """Both changed it, in different places."""
    ADDED = "added"
    """It is new in the skeleton."""
    REMOVED = "removed"
    """The skeleton has it no more, and the team did not change it."""
    CONFLICT = "conflict"
    """Both changed the same lines: left as the team has it."""
    KEPT = "kept"
    """The skeleton has it no more, but the team changed it: left."""
    TAKEN = "taken"
    """It is new in the skeleton, but the team has another file there: left."""
    DELETED = "deleted"
    """The team deleted it, and the skeleton changed it: it stays deleted."""

    @property
    def written(self) -> bool:
        """Whether the file is changed."""
        return self in {Fate.REPLACED, Fate.MERGED, Fate.ADDED, Fate.REMOVED}


@dataclass(frozen=True, kw_only=True)
class FileUpdate:
    """A file that is not simply as it should be. `content` is what it becomes; None where it is removed or left."""

    path: str
    fate: Fate
    content: bytes | None = None
    existed: bool = True
    """Whether the team's branch has the file."""

    def as_json(self) -> dict[str, Any]:
        """A JSON object with path and fate."""
        return {"path": self.path, "fate": str(self.fate)}


@dataclass(frozen=True, kw_only=True)
class BoilerplateUpdate:
    """What a newer skeleton does to a service: each file with something to tell, in the order of paths."""

    files: tuple[FileUpdate, ...]
    lock: str
    """The lock as it is afterwards."""

    @property
    def written(self) -> tuple[FileUpdate, ...]:
        """The files that are changed."""
        return tuple(file for file in self.files if file.fate.written)

    @property
    def left(self) -> tuple[FileUpdate, ...]:
        """The files that are left as the team has them, and told."""
        return tuple(file for file in self.files if not file.fate.written)


def compare(
    *, base: Mapping[str, str], ours: Mapping[str, str], theirs: Mapping[str, str], read: Read, merge: Merge
) -> BoilerplateUpdate:
    """What `theirs` (path to text) does to `ours`, which was made from `base` (both path to blob id).

    `read` is asked only for files that both sides changed.
    """
    found: list[FileUpdate] = []
    after = dict(base)
    for path in sorted({*base, *theirs}):
        update = _Sides(path, base.get(path), ours.get(path), theirs.get(path)).update(ours, read, merge)
        if update is not None:
            found.append(update)
        if path not in theirs:
            after.pop(path, None)
        elif update is None or update.fate.written:
            after[path] = blob_id(theirs[path])
    return BoilerplateUpdate(files=tuple(found), lock=lock_text(theirs, after))


@dataclass(frozen=True)
class _Sides:
    """The three sides of one file: blob ids, and the text of theirs. None where a side does not have it."""

    path: str
    base: str | None
    ours: str | None
    theirs: str | None

    def update(self, tree: Mapping[str, str], read: Read, merge: Merge) -> FileUpdate | None:
        """What becomes of the file, or None where there is nothing to do and nothing to tell."""
        if self.theirs is None:
            return self._gone()
        wanted = blob_id(self.theirs)
        if wanted in {self.ours, self.base}:
            return None
        if self.base is None:
            return self._new(tree, self.theirs.encode())
        if self.ours is None:
            return FileUpdate(path=self.path, fate=Fate.DELETED, existed=False)
        if self.ours == self.base:
            return FileUpdate(path=self.path, fate=Fate.REPLACED, content=self.theirs.encode())
        return self._both(self.theirs.encode(), read, merge)

    def _gone(self) -> FileUpdate | None:
        if self.ours is None:
            return None
        return FileUpdate(path=self.path, fate=Fate.REMOVED if self.ours == self.base else Fate.KEPT)

    def _new(self, tree: Mapping[str, str], content: bytes) -> FileUpdate:
        if self.ours is not None or any(other in tree for other in _folders(self.path)) or _is_folder(self.path, tree):
            return FileUpdate(path=self.path, fate=Fate.TAKEN)
        return FileUpdate(path=self.path, fate=Fate.ADDED, content=content, existed=False)

    def _both(self, theirs: bytes, read: Read, merge: Merge) -> FileUpdate:
        base, ours = read(self.base or ""), read(self.ours or "")
        merged = None if base is None or ours is None else merge(base, ours, theirs)
        if merged is None:
            return FileUpdate(path=self.path, fate=Fate.CONFLICT)
        return FileUpdate(path=self.path, fate=Fate.MERGED, content=merged)


def _folders(path: str) -> Iterator[str]:
    """The folders above a path."""
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))


def _is_folder(path: str, tree: Mapping[str, str]) -> bool:
    return any(other.startswith(f"{path}/") for other in tree)


def _quoted(text: str) -> str:
    """As a YAML string that can hold every path."""
    return "'" + text.replace("'", "''") + "'"
