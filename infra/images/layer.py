"""Layers: tar archives that have the same bytes whenever they are made of the same.

A layer is kept as a tool is (`infra.toolchain.cache`): complete or absent, whatever happens to the run that makes it.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ConfigDict

from infra.images.entry import OLDEST, Entry, from_tar, with_folders
from infra.toolchain.cache import MANIFEST, Manifest, ToolCache

ARCHIVE = "layer.tar"
_MADE = "made.json"


class Made(BaseModel):
    """What is known of a layer beside its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    components: list[dict[str, Any]] = []
    """What it brings, as CycloneDX components."""
    time: int = OLDEST
    """Of a Debian system: when its mirror was last written, in seconds since 1970 (UTC)."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer that is there."""

    archive: Path
    digest: str
    """`sha256:` and the checksum of the archive: what an image calls its diff id."""
    size: int
    """Bytes of the archive."""
    made: Made

    def entries(self) -> dict[str, Entry]:
        """What is in it, by path."""
        return from_tar(self.archive)


class Layers:
    """The layers of this user, under the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._cache = ToolCache(root)

    def find(self, name: str, key: str) -> Layer | None:
        """The layer of that name that was made of what `key` stands for, or None."""
        home = self._cache.find(name, "layer", key, ARCHIVE)
        return None if home is None else _at(home)

    def make(
        self,
        name: str,
        key: str,
        *,
        anew: bool,
        waiting: Callable[[], None],
        fill: Callable[[Path], tuple[Iterable[Entry], Made]],
    ) -> Layer:
        """The layer, made now unless it is there: `fill` is given a folder to work in, which goes afterwards.

        With `anew` one that is there is replaced. `waiting` is called while another run makes it.
        """
        with self._cache.lock(name, waiting=waiting):
            found = None if anew else self.find(name, key)
            if found is not None:
                return found
            with self._cache.staging(name) as staging:
                built = staging / "built"
                built.mkdir()
                entries, made = fill(staging)
                with (built / ARCHIVE).open("wb") as archive:
                    write(entries, archive)
                (built / _MADE).write_text(made.model_dump_json(indent=1) + "\n")
                return _at(self._cache.commit(built, name=name, version="layer", digest=key, executable=ARCHIVE))


def write(entries: Iterable[Entry], to: IO[bytes]) -> None:
    """Write a tar archive of the entries, sorted by path; of a file with hard links the first path has the content."""
    first: dict[str, str] = {}
    with tarfile.open(fileobj=to, mode="w:", format=tarfile.GNU_FORMAT) as tar:
        for entry in with_folders(entries):
            member = tarfile.TarInfo(entry.path)
            member.type, member.mode, member.mtime = entry.kind, entry.mode, entry.time
            member.uid, member.gid, member.linkname = entry.owner, entry.group, entry.target
            if entry.shared and entry.shared in first:
                member.type, member.linkname = tarfile.LNKTYPE, first[entry.shared]
                tar.addfile(member)
                continue
            if entry.shared:
                first[entry.shared] = entry.path
            member.size = entry.size
            with entry.opened() as content:
                tar.addfile(member, content)


def _at(home: Path) -> Layer:
    manifest = Manifest.model_validate_json((home / MANIFEST).read_bytes())
    return Layer(
        archive=home / ARCHIVE,
        digest=f"sha256:{manifest.sha256}",
        size=manifest.size,
        made=Made.model_validate_json((home / _MADE).read_bytes()),
    )
