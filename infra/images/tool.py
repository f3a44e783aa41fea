"""Layers of tools of the toolchain, and the one empty folder that a server has for its data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from infra.core.error import ToolError
from infra.images.bill import Component, find_components
from infra.images.entry import FORGELINE, Entry, everything, file, folder, from_folder
from infra.images.layer import Made
from infra.images.part import Bench, Filling
from infra.toolchain.cache import MANIFEST, Manifest
from infra.toolchain.pin import load_pins
from infra.toolchain.toolchain import InstalledTool


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What of a tool goes where: a file, or a folder with what `keep` keeps of it."""

    tool: str
    source: str
    """Inside the tool's folder."""
    to: str
    """In the image, without a slash at its beginning."""
    keep: Callable[[PurePosixPath], bool] = field(default=everything, repr=False)


@dataclass(frozen=True, kw_only=True)
class ToolPart:
    """Tools as they are in the cache: the pinned ones, never this machine's own."""

    name: str
    copied: tuple[Copied, ...]
    links: tuple[Entry, ...] = ()
    form: str = "1"
    """To be counted up when a `keep` changes."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(dict.fromkeys(one.tool for one in self.copied))

    def key(self, bench: Bench) -> str | None:
        """Differs when a tool does, or what is taken of it."""
        found = [bench.tool(name) for name in self.tools]
        content = hashlib.sha256(f"{self}\n".encode())
        for tool in found:
            if tool is None:
                return None
            content.update(f"{tool.home.name} {_manifest(tool).sha256}\n".encode())
        return content.hexdigest()[:16]

    def told(self, bench: Bench) -> str:
        """The tools with their versions, and what must be got first."""
        pins = load_pins().tools
        words = []
        for name in self.tools:
            tool = bench.tool(name)
            words.append(f"{name} {pins[name].version}" + ("" if tool else " (to be fetched or built first)"))
        return ", ".join(words)

    def fill(self, bench: Bench, work: Path) -> Filling:  # noqa: ARG002 - all that is needed is there
        """Copy."""
        entries: list[Entry] = list(self.links)
        components = []
        for name in self.tools:
            tool = bench.tool(name)
            if tool is None:
                raise ToolError(f"{name} isn't there", where=self.name, fix="run `forgeline images build` again")
            components.append(Component(kind="application", name=name, version=tool.version).as_json())
            for one in self.copied:
                if one.tool == name:
                    entries += _copy(one, tool)
        return entries, Made(components=components + find_components(entries, bench))


def _copy(one: Copied, tool: InstalledTool) -> list[Entry]:
    source = tool.home / one.source
    if source.is_dir():
        # What the cache says of the tool is no part of it.
        return list(from_folder(source, one.to, lambda path: str(path) != MANIFEST and one.keep(path)))
    return [file(one.to, source)]


def _manifest(tool: InstalledTool) -> Manifest:
    return Manifest.model_validate_json((tool.home / MANIFEST).read_bytes())


@dataclass(frozen=True, kw_only=True)
class HomePart:
    """The empty folder `/srv/NAME` of the user `forgeline`: a new volume that is mounted there takes its owner."""

    server: str
    tools: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the layer is kept as."""
        return f"home-{self.server}"

    @property
    def path(self) -> str:
        """In the image."""
        return f"/srv/{self.server}"

    def key(self, _bench: Bench) -> str:
        """Always the same."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]

    def told(self, _bench: Bench) -> str:
        """For people."""
        return f"an empty {self.path}"

    def fill(self, _bench: Bench, _work: Path) -> Filling:
        """The folder."""
        return [folder(self.path.lstrip("/"), mode=0o750, owner=FORGELINE)], Made()
