"""Unpacking of archives into a tool's folder, with file modes, and never outside it."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from infra.core.error import ToolError


def unpack(archive: Path, *, root: str, into: Path) -> None:
    """Unpack what is under the folder `root` of a zip (or wheel) or tar into `into`.

    A file that is neither is a bare program: `into` is then its path. Raises ToolError for a damaged archive, one
    that has no `root`, or one that would write elsewhere.
    """
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, root, into)
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, root, into)
        else:
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(archive, into)
            into.chmod(0o755)
            return
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ToolError(f"is damaged: {error}", where=archive.name) from error
    if not into.is_dir() or not any(into.iterdir()):
        raise ToolError(f"has no folder {root}", where=archive.name)


def link(folder: Path, links: dict[str, str]) -> None:
    """Make the symbolic links: path in `folder` -> target. A wheel can't hold links and may have copies there."""
    for name, target in links.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def _unpack_zip(archive: Path, root: str, into: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            inside = _inside(member.filename, root)
            if inside is None or member.is_dir():
                continue
            path = into / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            with file.open(member) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            mode = (member.external_attr >> 16) & 0o777
            path.chmod(mode or 0o644)


def _unpack_tar(archive: Path, root: str, into: Path) -> None:
    with tarfile.open(archive) as file:
        for member in file:
            inside = _inside(member.name, root)
            if inside is None or member.isdir():
                continue
            into.mkdir(parents=True, exist_ok=True)
            file.extract(member.replace(name=str(inside), deep=False), into, filter="data")


def _inside(name: str, root: str) -> PurePosixPath | None:
    """The path of a member below `root`; None if it is elsewhere. Raises ToolError for one that climbs out."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ToolError(f"has a member outside its folder: {name}")
    # A wheel may keep its packages under NAME-VERSION.data/purelib.
    parts = path.parts
    if len(parts) > 2 and parts[0].endswith(".data") and parts[1] in {"purelib", "platlib"}:
        parts = parts[2:]
    top = PurePosixPath(root).parts
    if parts[: len(top)] != top or len(parts) == len(top):
        return None
    return PurePosixPath(*parts[len(top) :])
