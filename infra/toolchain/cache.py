"""The folder of installed tools: complete or absent, whatever happens to the run that installs one.

    <cache>/tools/NAME/VERSION-DIGEST/     a complete installation with its manifest
    <cache>/tools/NAME/.lock               held (flock) by the run that installs
    <cache>/tools/NAME/.new-XXXX/          under way; only the holder of the lock may have one

An installation is built under way and renamed when it is complete, so a kill leaves nothing that looks installed. The
lock ends with the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.core.error import ToolError
from infra.toolchain.download import file_sha256

MANIFEST = "forgeline.json"


class Manifest(BaseModel):
    """What an installation says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    executable: str
    size: int
    mtime_ns: int
    sha256: str


class ToolCache:
    """Installed tools under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, name: str, version: str, digest: str, executable: str) -> Path | None:
        """The folder of a complete installation whose key program is unchanged, or None.

        The program's size and time are compared; its checksum only when the time differs.
        """
        folder = self._folder(name, version, digest)
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
            status = (folder / executable).stat()
        except (OSError, ValidationError):
            return None
        if manifest.size != status.st_size:
            return None
        if manifest.mtime_ns == status.st_mtime_ns:
            return folder
        return folder if manifest.sha256 == file_sha256(folder / executable) else None

    @contextmanager
    def lock(self, name: str, *, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the lock of a tool. `waiting` is called every 0.2 s while another run holds it; it may raise."""
        home = self.root / name
        self._make(home)
        with (home / ".lock").open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    waiting()
                    time.sleep(0.2)
            for stale in home.glob(".new-*"):
                remove(stale)
            yield

    @contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """A new folder in the cache's file system, removed afterwards. Only while the lock is held."""
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=self.root / name))
        try:
            yield folder
        finally:
            remove(folder)

    def commit(self, built: Path, *, name: str, version: str, digest: str, executable: str) -> Path:
        """Turn the folder `built` into the installation of a tool and return its place.

        Raises ToolError if the key program is not there.
        """
        program = built / executable
        if not program.is_file():
            raise ToolError(f"what the source gave has no {executable}")
        status = program.stat()
        manifest = Manifest(
            name=name,
            version=version,
            executable=executable,
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            sha256=file_sha256(program),
        )
        (built / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
        built.chmod(0o755)
        folder = self._folder(name, version, digest)
        if folder.exists():
            # Damaged, or it would have been found: out of the way first, for a folder can't be renamed onto another.
            os.rename(folder, built.parent / "damaged")
        os.rename(built, folder)
        return folder

    def _folder(self, name: str, version: str, digest: str) -> Path:
        return self.root / name / f"{version}-{digest}"

    @staticmethod
    def _make(folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ToolError(
                f"the folder of tools can't be made: {error.strerror}",
                where=str(folder),
                fix="set FORGELINE_CACHE to a folder that you may write to",
            ) from error


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, read-only folders included."""

    def make_writable(function: Callable[[str], object], path: str, _: object) -> None:
        os.chmod(os.path.dirname(path), 0o700)
        function(path)

    if folder.exists():
        shutil.rmtree(folder, onerror=make_writable)
