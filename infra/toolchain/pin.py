"""The pins: which version of which tool, and where it may come from, in `pins.yaml`."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from infra.core.document import load

FOLDER = Path(__file__).resolve().parent
PINS = FOLDER / "pins.yaml"
GO_PROGRAMS = FOLDER / "go"
"""Folders with a go.mod and a go.sum each: what the toolchain builds."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PlatformName = Annotated[str, Field(pattern=r"^(linux|darwin)-(amd64|arm64)$")]


class _Pin(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SystemPin(_Pin):
    """A program of this machine that will do."""

    command: str
    arguments: list[str]
    """What makes it print its version."""
    pattern: str
    """A regular expression whose first group is the version in that output."""
    minimum: str | None = None
    majors: list[int] | None = None
    """The major versions that will do; all from `minimum` on if left out."""


class ArchivePin(_Pin):
    """A file on the vendor's own download site."""

    kind: Literal["archive"]
    url: str
    """With {version} and {platform}."""
    platforms: dict[PlatformName, str]
    """What the vendor calls each platform."""
    sha256: dict[PlatformName, Sha256] = {}
    """Without a checksum for this machine the source is passed over: what can't be checked is not fetched."""
    root: str = ""
    """The folder inside the archive that has the tool."""
    into: str = ""
    """The folder of the installed tool that takes it."""


class WheelPin(_Pin):
    """A Python package whose wheel carries the program; fetched by pip, by name and hash."""

    kind: Literal["wheel"]
    package: str
    version: str
    sha256: list[Sha256]
    """One for each platform's wheel."""
    root: str
    """The folder inside the wheel that has the tool."""
    links: dict[str, str] = {}
    """Symbolic links to make: path in the tool's folder -> target."""


class GoPin(_Pin):
    """A program built from Go packages, all pinned by the go.sum of a folder in `go/`."""

    kind: Literal["go"]
    program: str
    """The folder in `go/`."""
    package: str
    output: str
    """The file to make in `bin/`."""
    ldflags: str = ""
    """More flags for the linker, with {version}."""
    built_by: str | None = None
    """The only version of Go that may have built it; None if any will do."""


class MavenPin(_Pin):
    """A zip artifact of a Maven repository."""

    kind: Literal["maven"]
    group: str
    artifact: str
    sha256: Sha256
    root: str
    links: dict[str, str] = {}

    def coordinate(self, version: str) -> str:
        """The artifact's coordinate as Maven's dependency plugin takes it."""
        return f"{self.group}:{self.artifact}:{version}:zip"


class PythonPin(_Pin):
    """Python packages for a program of our own, by a lock file with hashes."""

    kind: Literal["python"]
    lock: str


SourcePin = Annotated[ArchivePin | WheelPin | GoPin | MavenPin | PythonPin, Field(discriminator="kind")]


class ToolPin(_Pin):
    """One tool: `sources` are tried in their order, after the machine's own."""

    version: str
    executable: str
    """The program (or another key file) inside the tool's folder; its checksum guards the installation."""
    system: SystemPin | None = None
    sources: list[SourcePin] = []


class Pins(_Pin):
    """The file `pins.yaml`."""

    tools: dict[str, ToolPin]


@cache
def load_pins(path: Path = PINS) -> Pins:
    """The pins in `path`. Raises BadInputError with every error and its line."""
    return load(path, Pins)


def machine() -> str:
    """This machine's platform in the words of the pins, for example linux-amd64."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    name = platform.machine()
    return f"{platform.system().lower()}-{architecture.get(name, name)}"


def digest(pin: SourcePin, version: str) -> str:
    """Eight hexadecimal digits that differ when what the source would install differs."""
    content = hashlib.sha256(f"{version}\n{pin.model_dump_json(exclude={'built_by'})}\n".encode())
    if isinstance(pin, GoPin):
        content.update((pin.built_by or "").encode())
        folder = GO_PROGRAMS / pin.program
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            if file.suffix in {".go", ".mod", ".sum"} and not file.name.endswith("_test.go"):
                content.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    elif isinstance(pin, PythonPin):
        content.update((FOLDER / pin.lock).read_bytes())
    elif isinstance(pin, ArchivePin):
        content.update(machine().encode())
    return content.hexdigest()[:8]
