"""Files in containers: put there before the start, read back to see whether they are still what they were."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from docker.models.containers import Container as Running

from infra.clients.container_engine import absent
from infra.core.server import ConfigFile, placeholder
from infra.provider.connection import Connections
from infra.provider.kind import DIFFERS

SIZE_LIMIT = 1_000_000


def put_files(
    connections: Connections, container: Running, files: Sequence[Mapping[str, Any]], user: str | None
) -> None:
    """Writes the files, with their secrets filled in, for the user that the container runs as (by number)."""
    owner, _, group = (user or "0:0").partition(":")
    uid, gid = (int(part) if part.isdigit() else 0 for part in (owner, group or owner))
    for given in files:
        file = ConfigFile.model_validate(given)
        path = PurePosixPath(file.path)
        content = _filled(connections, file).encode()
        entry = tarfile.TarInfo(path.name)
        entry.size, entry.mode, entry.uid, entry.gid = len(content), file.mode, uid, gid
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.addfile(entry, io.BytesIO(content))
        container.put_archive(str(path.parent), archive.getvalue())


def read_files(
    connections: Connections, container: Running, wanted: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What is there of the wanted files: as wanted where it is so, else the real content or, of a secret, a mark."""
    found = []
    for given in wanted:
        file = ConfigFile.model_validate(given)
        there = _content(container, file.path)
        if there is None:
            continue
        content, mode = there
        same = content == _filled(connections, file)
        shown = file.content if same else DIFFERS if file.secrets else content
        found.append({**given, "content": shown, **({} if mode == file.mode else {"mode": mode})})
    return found


def _content(container: Running, path: str) -> tuple[str, int] | None:
    answer = absent(lambda: container.get_archive(path))
    if answer is None:
        return None
    archive = io.BytesIO()
    for chunk in answer[0]:
        archive.write(chunk)
        if archive.tell() > SIZE_LIMIT:
            return None
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        member = tar.next()
        stream = tar.extractfile(member) if member is not None and member.isreg() else None
        if member is None or stream is None:
            return None
        return stream.read().decode(errors="replace"), member.mode & 0o7777


def _filled(connections: Connections, file: ConfigFile) -> str:
    text = file.content
    for name, reference in file.secrets.items():
        text = text.replace(placeholder(name), connections.secret(reference).reveal())
    return text
