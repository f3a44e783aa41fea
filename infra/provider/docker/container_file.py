"""Files in containers: put there before the start, read back to see whether they are still what they were."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from docker.models.containers import Container as Running

from infra.clients.container import ContainerFiles
from infra.core.server import ConfigFile, FirstUse, Folder, Preparation, placeholder
from infra.provider.connection import Connections
from infra.provider.docker.container_input import Container
from infra.provider.kind import DIFFERS


def put_files(connections: Connections, container: Running, wanted: Container, *, first: bool = False) -> None:
    """Makes the folders and writes the files, with their secrets filled in, for the user that the container runs as.

    Files of the first start are written where this is the `first`.
    """
    for given in wanted.folders:
        folder = Folder.model_validate(given)
        put(container, folder.path, None, folder.mode, wanted.user)
    for given in wanted.files:
        file = ConfigFile.model_validate(given)
        if first or not file.first_start_only:
            put(container, file.path, filled(connections, file).encode(), file.mode, wanted.user)


def put(container: Running, place: str, content: bytes | None, mode: int, user: str | None) -> None:
    """A file, or without content a folder, in a folder that is there."""
    path = PurePosixPath(place)
    owner, _, group = (user or "0:0").partition(":")
    entry = tarfile.TarInfo(path.name)
    entry.uid, entry.gid = (int(part) if part.isdigit() else 0 for part in (owner, group or owner))
    entry.mode = mode
    if content is None:
        entry.type = tarfile.DIRTYPE
    else:
        entry.size = len(content)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(entry, io.BytesIO(content or b""))
    container.put_archive(str(path.parent), archive.getvalue())


def read_files(
    connections: Connections, container: Running, wanted: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What is there of the wanted files: as wanted where it is so, else the real content or, of a secret, a mark."""
    found = []
    for given in wanted:
        file = ConfigFile.model_validate(given)
        if file.first_start_only:
            # It is taken away when the first start has ended well.
            found.append(dict(given))
            continue
        there = ContainerFiles(container).entry(file.path)
        if there is None:
            continue
        content, mode = there
        same = content == filled(connections, file)
        shown = file.content if same else DIFFERS if file.secrets else content
        found.append({**given, "content": shown, **({} if mode == file.mode else {"mode": mode})})
    return found


def filled(connections: Connections, template: ConfigFile | FirstUse | Preparation) -> str:
    """The content with its secrets."""
    text = template.content
    for name, reference in template.secrets.items():
        text = text.replace(placeholder(name), connections.secret(reference).reveal())
    return text
