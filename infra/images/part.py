"""What images are put together from: parts, each of which is a layer; and what parts are made with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from infra.images.entry import Entry
from infra.images.layer import Layer, Made
from infra.toolchain.command import Commands
from infra.toolchain.toolchain import InstalledTool

Filling: TypeAlias = tuple[Iterable[Entry], Made]
"""What is in a layer, and what is known of it beside."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What parts are made with."""

    environ: Mapping[str, str]
    commands: Commands
    tool: Callable[[str], InstalledTool | None]
    """A pinned tool, if it is installed."""
    base: Callable[[], Layer | None]
    """The layer that is below all others, if it is there."""
    say: Callable[[str], None]
    """Tells what is being waited for."""


class Part(Protocol):
    """One layer of images."""

    @property
    def name(self) -> str:
        """What the layer is kept as."""

    @property
    def tools(self) -> tuple[str, ...]:
        """The pinned tools that it is made of."""

    def key(self, bench: Bench) -> str | None:
        """Differs when what it is made of differs; None as long as a tool that it is made of isn't there."""

    def told(self, bench: Bench) -> str:
        """What it is made of, for people."""

    def fill(self, bench: Bench, work: Path) -> Filling:
        """Make what is in the layer; `work` is a folder that goes afterwards. Raises ToolError."""
