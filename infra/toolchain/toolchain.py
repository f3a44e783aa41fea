"""The tools of a run: found, or installed from the first of their sources that works."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from infra.core.document import nearest
from infra.core.error import BadInputError, ForgelineError, ToolError
from infra.core.progress import Progress, Silent
from infra.core.settings import Placement, Settings
from infra.toolchain.cache import ToolCache
from infra.toolchain.command import Commands, StoppedError, last_lines
from infra.toolchain.pin import PINS, Pins, SourcePin, ToolPin, digest, load_pins
from infra.toolchain.source import Order, Source, Workshop, source_for
from infra.toolchain.system import find_system

LAB_TOOLS = (
    "pulumi",
    "gitlab-runner",
    "gitleaks",
    "nexus-secrets",
    "openbao",
    "nexus",
    "java",
    "go",
    "node",
    "gosec",
    "gotestsum",
    "staticcheck",
    "gocover-cobertura",
)
"""What a lab needs, the longest builds first."""

CONTAINER_TOOLS = ("pulumi", "nexus-secrets")
"""What is needed where the servers run in containers: of OpenBao's plug-in the sum is told."""

EXISTING_TOOLS = ("pulumi",)
"""What is needed where others run the servers."""

JOB_TOOLS = ("openbao", "go", "node", "gitleaks", "gosec", "gotestsum", "gocover-cobertura", "staticcheck")
"""What pipeline jobs find on their PATH, besides Forgeline itself.

Java is not among them: the runtime that Nexus may run on has no compiler, and would hide a JDK of the system's.
"""


@dataclass(frozen=True, kw_only=True)
class InstalledTool:
    """A tool that is there. `path` is its program, `home` the folder it is installed in, `source` words for people."""

    name: str
    version: str
    source: str
    home: Path
    path: Path

    def as_json(self) -> dict[str, str]:
        """A JSON object with the tool's fields."""
        return {"name": self.name, "version": self.version, "source": self.source, "path": str(self.path)}


@dataclass(frozen=True, kw_only=True)
class ToolState:
    """A pinned tool and, if it is there, what is there."""

    name: str
    pinned: str
    tool: InstalledTool | None

    def as_json(self) -> dict[str, object]:
        """A JSON object; `installed` is null where the tool is not there."""
        return {"name": self.name, "pinned": self.pinned, "installed": self.tool.as_json() if self.tool else None}


def needed(settings: Settings) -> tuple[str, ...]:
    """The tools that a profile needs: little where the servers are containers, or others run them."""
    if settings.profile.placement is Placement.DOCKER:
        return CONTAINER_TOOLS
    return EXISTING_TOOLS if settings.existing else LAB_TOOLS


class Toolchain:
    """Finds and installs tools for one run. Safe to use from several threads."""

    def __init__(
        self,
        *,
        cache: Path,
        environ: Mapping[str, str],
        pins: Pins | None = None,
        nexus_home: Path | None = None,
        maven_address: str | None = None,
    ) -> None:
        self._pins = pins or load_pins()
        self._environ = environ
        self._nexus_home = nexus_home
        self._cache = ToolCache(cache / "tools")
        self._found: dict[str, InstalledTool] = {}
        self._locks = {name: threading.Lock() for name in self._pins.tools}
        self._commands = Commands()
        self._progress: Progress = Silent()
        self._workshop = Workshop(
            cache=cache,
            environ=environ,
            commands=self._commands,
            program=lambda name: self._one(name).path,
            maven_address=maven_address,
        )

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str]) -> Self:
        """The tools of a profile, in the user's cache."""
        return cls(
            cache=settings.cache,
            environ=environ,
            nexus_home=settings.profile.nexus_home,
            maven_address=settings.profile.upstreams.maven or environ.get("FORGELINE_MAVEN_UPSTREAM"),
        )

    def find(self, name: str) -> InstalledTool | None:
        """A tool that is there already, without any network. Raises BadInputError for a name that isn't pinned."""
        pin = self._pin(name)
        if name in self._found:
            return self._found[name]
        tool = self._given(name, pin) or self._system(name, pin) or self._cached(name, pin)
        if tool is not None:
            self._found[name] = tool
        return tool

    def ensure(self, names: Iterable[str], progress: Progress | None = None) -> Mapping[str, InstalledTool]:
        """The named tools, installed where they are missing.

        Raises ToolError with the reason of every source if a tool can't be had. An exception, KeyboardInterrupt too,
        ends the builds that run; what is complete stays.
        """
        self._progress = progress or Silent()
        names = list(dict.fromkeys(names))
        missing = []
        for name in names:
            tool = self.find(name)
            if tool is None:
                missing.append(name)
            else:
                self._progress.done(name, f"{tool.version}, {tool.source}")
        if missing:
            self._install_all(missing)
        return {name: self._found[name] for name in names}

    def survey(self) -> list[ToolState]:
        """Every pinned tool by name, and what of it is there. Installs nothing, and asks no network."""
        return [
            ToolState(name=name, pinned=pin.version, tool=self.find(name))
            for name, pin in sorted(self._pins.tools.items())
        ]

    def stop(self) -> None:
        """End what is under way, from any thread."""
        self._commands.stop()

    def path_entries(self) -> list[Path]:
        """The folders for a job's PATH: Forgeline's own programs, then each job tool that is there."""
        entries = [Path(sys.executable).parent]
        for name in JOB_TOOLS:
            tool = self.find(name)
            if tool is not None:
                entries.append(tool.path.parent)
        # Folders of the system are on every PATH, and must not come before a tool that was chosen.
        return [entry for entry in dict.fromkeys(entries) if str(entry) not in {"/bin", "/usr/bin"}]

    def _install_all(self, names: list[str]) -> None:
        with ThreadPoolExecutor(max_workers=len(names), thread_name_prefix="tool") as pool:
            futures: list[Future[InstalledTool]] = []
            try:
                # Ctrl-C may come as soon as the first of them is at work.
                for name in names:
                    futures.append(pool.submit(self._one, name))
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                if len(futures) < len(names) or not all(f.done() and f.exception() is None for f in futures):
                    self._commands.stop()
        failures = [error for future in futures if (error := future.exception()) is not None]
        told = [error for error in failures if not isinstance(error, StoppedError)] or failures
        if told:
            raise told[0]

    def _one(self, name: str) -> InstalledTool:
        """The tool, installed now if it is missing; a second caller waits for the first."""
        with self._locks[name]:
            tool = self.find(name)
            if tool is None:
                try:
                    tool = self._install(name, self._pin(name))
                except StoppedError:
                    raise
                except ForgelineError as error:
                    self._progress.failed(name, error.what)
                    raise
                self._found[name] = tool
                self._progress.done(name, f"{tool.version}, {tool.source}")
            return tool

    def _install(self, name: str, pin: ToolPin) -> InstalledTool:
        self._progress.start(name, "looking for a source")

        def waiting() -> None:
            self._commands.check()
            self._progress.start(name, "waiting for another run that is installing it")

        with self._cache.lock(name, waiting=waiting):
            tool = self._cached(name, pin)
            if tool is not None:
                return tool
            reasons = []
            for source_pin in pin.sources:
                source = source_for(source_pin)
                try:
                    return self._from(name, pin, source_pin, source)
                except ToolError as error:
                    self._commands.check()
                    reasons.append(f"{source.label}: {error}")
        raise ToolError(
            f"{name} {pin.version} can't be had from any of its sources",
            where=PINS.name,
            detail="\n".join(reasons),
            fix="see that pip, go and mvn reach their package registries from here (a proxy or mirror is set in their "
            "own configuration), then run the command again: what is complete is kept",
        )

    def _from(self, name: str, pin: ToolPin, source_pin: SourcePin, source: Source) -> InstalledTool:
        with self._cache.staging(name) as staging:
            order = Order(
                name=name,
                version=pin.version,
                into=staging / "tool",
                scratch=staging,
                say=lambda doing: self._progress.start(name, doing),
            )
            order.into.mkdir()
            try:
                source.install(order, self._workshop)
            except OSError as error:
                raise ToolError(f"{error.strerror}: {error.filename}", detail=last_lines(order.log)) from error
            self._commands.check()
            home = self._cache.commit(
                order.into,
                name=name,
                version=pin.version,
                digest=digest(source_pin, pin.version),
                executable=pin.executable,
            )
        return self._tool(name, pin, home, source.label)

    def _pin(self, name: str) -> ToolPin:
        pin = self._pins.tools.get(name)
        if pin is None:
            raise BadInputError(f"there is no tool {name!r}", where=PINS.name, fix=nearest(name, self._pins.tools))
        return pin

    def _given(self, name: str, pin: ToolPin) -> InstalledTool | None:
        """Nexus where the profile says that it is."""
        if name != "nexus" or self._nexus_home is None:
            return None
        if not (self._nexus_home / pin.executable).is_file():
            raise BadInputError(
                f"there is no {pin.executable} in it",
                where=f"nexus_home {self._nexus_home}",
                fix="name an unpacked Nexus",
            )
        return self._tool(name, pin, self._nexus_home, "given by the profile")

    def _system(self, name: str, pin: ToolPin) -> InstalledTool | None:
        program = find_system(pin.system, self._environ) if pin.system else None
        if program is None:
            return None
        # A link such as /usr/bin/java says nothing of the installation; what it leads to does.
        home = program.path.resolve().parent.parent
        return InstalledTool(name=name, version=program.version, source="this machine's", home=home, path=program.path)

    def _cached(self, name: str, pin: ToolPin) -> InstalledTool | None:
        for source_pin in pin.sources:
            home = self._cache.find(name, pin.version, digest(source_pin, pin.version), pin.executable)
            if home is not None:
                return self._tool(name, pin, home, source_for(source_pin).label)
        return None

    @staticmethod
    def _tool(name: str, pin: ToolPin, home: Path, source: str) -> InstalledTool:
        return InstalledTool(name=name, version=pin.version, source=source, home=home, path=home / pin.executable)
