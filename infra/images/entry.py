"""What a layer holds: paths with their kind, mode, owner and content, from a folder or from an archive.

An entry knows nothing of when and by whom it was made, but for the time that a Debian package gives its files.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from infra.core.error import ToolError

OLDEST = 315_532_800
"""1980-01-01, the time of every file that no package dates: a zip archive can't hold an older one."""

FORGELINE = 10_001
"""User and group of everything that runs in a container."""

WHITEOUT = ".wh."
"""A file of this prefix in a layer hides what a lower layer has (OCI image specification, "Whiteouts")."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One path of a file system, without a slash at its beginning.

    A file's content is `content`, or what `source` has at `offset`; `size` bytes. Entries with the same `shared` are
    hard links of one file.
    """

    path: str
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    owner: int = 0
    group: int = 0
    time: int = OLDEST
    target: str = ""
    source: Path | None = None
    offset: int = 0
    size: int = 0
    content: bytes = b""
    shared: str = ""

    def opened(self) -> IO[bytes]:
        """The content; read `size` bytes of it."""
        if self.source is None:
            return BytesIO(self.content)
        file = self.source.open("rb")
        file.seek(self.offset)
        return file

    def read(self) -> bytes:
        """All of the content."""
        with self.opened() as file:
            return file.read(self.size)

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for entries that a container can't tell apart, whatever their times."""
        told = hashlib.sha256(self.read()).hexdigest() if self.kind == tarfile.REGTYPE else ""
        return (self.path, self.kind, self.mode, self.owner, self.group, self.target, self.size, told)


def folder(path: str, *, mode: int = 0o755, owner: int = 0) -> Entry:
    """A folder."""
    return Entry(path=path, kind=tarfile.DIRTYPE, mode=mode, owner=owner, group=owner)


def link(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path=path, kind=tarfile.SYMTYPE, mode=0o777, target=target)


def text(path: str, content: str | bytes, *, mode: int = 0o644) -> Entry:
    """A file with this content."""
    data = content.encode() if isinstance(content, str) else content
    return Entry(path=path, mode=mode, content=data, size=len(data))


def file(path: str, source: Path) -> Entry:
    """A copy of the file `source`: 0755 if its owner may run it, else 0644. Raises ToolError if it isn't there."""
    try:
        status = source.stat()
    except OSError as error:
        raise ToolError(f"can't be read: {error.strerror}", where=str(source)) from error
    mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    return Entry(path=path, mode=mode, source=source, size=status.st_size)


def everything(_: PurePosixPath) -> bool:
    """Keeps every path."""
    return True


def from_folder(source: Path, under: str, keep: Callable[[PurePosixPath], bool] = everything) -> Iterator[Entry]:
    """What is in the folder `source`, to be found under the path `under`. `keep` is asked with the path in the folder;
    what is in a folder that is not kept is not looked at.
    """
    yield folder(under)
    waiting = [source]
    while waiting:
        for item in sorted(os.scandir(waiting.pop()), key=lambda one: one.name):
            inside = PurePosixPath(Path(item.path).relative_to(source).as_posix())
            if not keep(inside):
                continue
            path = f"{under}/{inside}"
            if item.is_symlink():
                yield link(path, os.readlink(item.path))
            elif item.is_dir():
                yield folder(path)
                waiting.append(Path(item.path))
            elif item.is_file():
                yield file(path, Path(item.path))


def from_tar(archive: Path) -> dict[str, Entry]:
    """The entries of an uncompressed tar archive by their paths. Raises ToolError if it is damaged."""
    found: dict[str, Entry] = {}
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                path = _plain(member.name)
                if member.islnk():
                    first = _plain(member.linkname)
                    found[first] = replace(found[first], shared=first)
                    found[path] = replace(found[first], path=path)
                elif path:
                    found[path] = _of(member, path, archive)
    except (tarfile.TarError, KeyError) as error:
        raise ToolError(f"is damaged: {error}", where=str(archive)) from error
    return found


def _plain(name: str) -> str:
    return "" if name == "." else name.removeprefix("./").strip("/")


def _of(member: tarfile.TarInfo, path: str, archive: Path) -> Entry:
    kind = tarfile.REGTYPE if member.isreg() else member.type
    return Entry(
        path=path,
        kind=kind,
        mode=member.mode & 0o7777,
        owner=member.uid,
        group=member.gid,
        time=int(member.mtime),
        target=member.linkname if member.issym() else "",
        source=archive if member.isreg() else None,
        offset=member.offset_data,
        size=member.size if member.isreg() else 0,
    )


def difference(new: Mapping[str, Entry], old: Mapping[str, Entry]) -> list[Entry]:
    """What a layer upon `old` must hold for a container to see `new`: what changed, with the folders above it, and
    whiteouts of what is gone.
    """
    changed = {path for path, entry in new.items() if path not in old or entry.identity != old[path].identity}
    above = {str(parent) for path in changed for parent in PurePosixPath(path).parents} - {"."}
    gone = {path for path in old if path not in new}
    hidden = [PurePosixPath(path) for path in gone if str(PurePosixPath(path).parent) not in gone]
    above |= {str(parent) for path in hidden for parent in path.parents} - {"."}
    kept = [new[path] for path in sorted(changed | above) if path in new]
    return [*kept, *(text(str(path.with_name(WHITEOUT + path.name)), b"") for path in sorted(hidden))]


def with_folders(entries: Iterable[Entry]) -> list[Entry]:
    """The entries by path, with the folders above them that none of them names."""
    found = {entry.path: entry for entry in entries}
    for path in list(found):
        for parent in PurePosixPath(path).parents:
            if str(parent) != ".":
                found.setdefault(str(parent), folder(str(parent)))
    return [found[path] for path in sorted(found)]
