"""Where a server is set up: all that differs between a process of this machine and a container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Place:
    """Paths are those that the server itself sees."""

    root: Path
    """Each server has a folder of its own below it."""
    address: str
    """What the server listens on."""
    programs: Mapping[str, Path]
    """A tool's name to its program."""
    python: Path
    """The Python in which Forgeline is installed, and `checkout` is where."""
    checkout: Path
    runner: str
    """What GitLab calls the runner; whoever registers it gives this description."""
    jobs: Mapping[str, str] = field(default_factory=dict)
    """Variables that the runner's jobs get, beside their home."""
    seal_key: Path | None = None
    """The file with OpenBao's seal key; without one, OpenBao gets one that is derived from the bootstrap key."""
    trust: Path | None = None
    """The authorities that servers and jobs trust beside the system's, where the profile has its own."""
    first: tuple[str, ...] = ()
    """Servers without which no other is reached."""
    authority: str = ""
    """The certificate (PEM) of the authority that OpenBao's PKI engine is to run; none without one."""
    homes: Mapping[str, Path] = field(default_factory=dict)
    """The folders of servers whose image says where they are."""
    java_trust: Path | None = None
    """The authorities that Java is to trust instead of its own."""

    def of(self, *, jobs: Mapping[str, str]) -> Place:
        """The same place, where jobs get these variables."""
        return replace(self, jobs=jobs)

    def home(self, server: str) -> Path:
        """The server's own folder."""
        return self.homes.get(server, self.root / server)
