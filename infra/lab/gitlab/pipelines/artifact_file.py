"""Files of job artifacts on disk: they appear whole or not at all, and never larger than the limit."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

LIMIT_BYTES = 1024 * 1024 * 1024
_BLOCK = 64 * 1024
_SAFE_NAME = re.compile(r"[^A-Za-z0-9._ ()+@-]")


class ArtifactTooLargeError(Exception):
    """An upload went past the limit; nothing of it is kept."""


@dataclass(kw_only=True)
class ArtifactDraft:
    """An upload on its way: `write` what comes in, then `keep` it; what was not kept goes away."""

    path: Path
    limit: int
    size: int = 0
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    _stream: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        """Adds `data`. Raises ArtifactTooLargeError past the limit."""
        self.size += len(data)
        if self.size > self.limit:
            raise ArtifactTooLargeError
        if self._stream is None:
            self._stream = self.path.open("xb")
        self._hash.update(data)
        self._stream.write(data)

    def flush(self) -> Path:
        """Lets others read at `path` what was written so far."""
        if self._stream is None:
            self._stream = self.path.open("xb")
        self._stream.flush()
        return self.path

    def keep(self, target: Path) -> None:
        """Makes the upload durable at `target`, replacing what is there."""
        self.flush()
        if self._stream is not None:
            os.fsync(self._stream.fileno())
            self._stream.close()
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.rename(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @property
    def sha256(self) -> str:
        """The checksum of what was written so far."""
        return self._hash.hexdigest()

    def drop(self) -> None:
        """Removes what was not kept."""
        if self._stream is not None:
            self._stream.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class ArtifactStore:
    """The artifact files under `root`, at most `limit` bytes each."""

    root: Path
    limit: int = LIMIT_BYTES

    @contextmanager
    def draft(self) -> Iterator[ArtifactDraft]:
        """A place for one upload, cleaned up in any case."""
        folder = self.root / "drafts"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = ArtifactDraft(path=folder / uuid.uuid4().hex, limit=self.limit)
        try:
            yield draft
        finally:
            draft.drop()

    def folder(self, job_id: int) -> Path:
        """Where the files of a job are."""
        return self.root / f"{job_id // 1000:06d}" / str(job_id)

    def path(self, job_id: int, file_type: str, filename: str) -> Path:
        """Where a job's file of a type is kept; both names are made harmless."""
        return self.folder(job_id) / f"{_safe(file_type)}-{_safe(filename)}"

    def sweep(self) -> None:
        """Removes what uploads of a killed server left behind; call before serving."""
        folder = self.root / "drafts"
        if folder.is_dir():
            for path in folder.iterdir():
                path.unlink(missing_ok=True)


def _safe(name: str) -> str:
    return _SAFE_NAME.sub("_", name)[:200]


def safe_filename(name: str) -> str:
    """The last part of a name that a client gave, without what could leave a folder or break a header."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return _safe(last).lstrip(".") or "artifact"


class EntryNotFoundError(Exception):
    """The archive has no such file, or is no archive."""


def archive_entry(path: Path, name: str) -> Iterator[bytes]:
    """The content of the file `name` inside the zip archive at `path`, in blocks.

    Nothing is unpacked to disk, and blocks keep a zip bomb out of memory. Raises EntryNotFoundError before the first
    block.
    """
    try:
        archive = zipfile.ZipFile(path)
        info = archive.getinfo(name)
        stream = archive.open(info)
    except (KeyError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        # The last two: a way of packing that Python does not know, or a password.
        raise EntryNotFoundError(name) from error
    if info.is_dir():
        archive.close()
        raise EntryNotFoundError(name)
    return _blocks(archive, stream)


def _blocks(archive: zipfile.ZipFile, stream: IO[bytes]) -> Iterator[bytes]:
    with archive, stream:
        while block := stream.read(_BLOCK):
            yield block
