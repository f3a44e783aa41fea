"""What an image asks of the container that is made of it, and where its programs are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

VOLUME = Path("/srv")
"""Where a server's volume is, if its image does not say otherwise: its own folder is in it."""

USER = "10001:10001"
"""`forgeline` in every image that is built here."""


@dataclass(frozen=True, kw_only=True)
class Housing:
    """All in which the images of the servers differ. What is left out is as in the images that are built here."""

    programs: Mapping[str, Path] = field(default_factory=dict)
    """A tool's name to its program, where the image has it elsewhere."""
    user: str = USER
    """`UID:GID`."""
    volumes: Mapping[str, Path] = field(default_factory=lambda: {"": VOLUME})
    """What the container's data is in: what is added to the volume's name, and where it is mounted."""
    home: Path | None = None
    """The server's own folder, if it is not the one of its name in the volume."""
    tmpfs: tuple[str, ...] = ("/tmp",)  # noqa: S108 - memory of its own
    """Folders that are memory."""
    shm_mib: int | None = None
    """Of /dev/shm; the engine's 64 MiB if left out."""
    read_only: bool = True
    """Whether the image's own file system is."""
    capabilities: tuple[str, ...] = ()
    """The only ones that the container has."""
    health: tuple[str, ...] = ()
    """What the engine asks from time to time, where the image lacks what the server's description asks with: a command
    with `{address}` and `{port}` for those of the server."""


BUILT = Housing()
"""Of every image that is built here."""
