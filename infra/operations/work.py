"""One command's work on a stack: its phases and their time, its tools, its connections, and a session of the engine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.clients.request import writes
from infra.core.progress import Phases, Progress
from infra.core.settings import Settings
from infra.operations import desired
from infra.programs.session import Session
from infra.provider.connection import Connections
from infra.toolchain.pin import load_pins
from infra.toolchain.toolchain import InstalledTool, Toolchain, needed
from pipelines.catalogue import Catalogue


class Current:
    """Progress that goes to the phase of the moment."""

    def __init__(self) -> None:
        self.progress: Progress

    def start(self, item: str, doing: str) -> None:
        """Told to the phase of the moment."""
        self.progress.start(item, doing)

    def done(self, item: str, outcome: str) -> None:
        """Told to the phase of the moment."""
        self.progress.done(item, outcome)

    def failed(self, item: str, reason: str) -> None:
        """Told to the phase of the moment."""
        self.progress.failed(item, reason)


@dataclass(frozen=True, kw_only=True)
class Open:
    """A session that is open, its tools and connections, and where it tells what it does."""

    session: Session
    tools: Mapping[str, InstalledTool]
    connections: Connections
    current: Current


@dataclass
class Work:
    """What every command that changes the stack needs. `environ` is the user's environment."""

    settings: Settings
    catalogue: Catalogue
    environ: Mapping[str, str]
    phases: Phases
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each phase took, by its title."""
    writes: int = 0
    """Requests that may have changed something."""

    @contextmanager
    def phase(self, title: str) -> Iterator[Progress]:
        """A phase of the run, whose time is kept."""
        began = time.monotonic()
        with self.phases.phase(title) as progress:
            yield progress
        self.seconds[title] = time.monotonic() - began

    def tools(self, names: Iterable[str] = ()) -> Mapping[str, InstalledTool]:
        """The tools that this profile needs, or those named, got where they are missing.

        Raises BadInputError for a name that no tool has, ToolError for a tool that can't be had.
        """
        with self.phase("Tools") as progress:
            return Toolchain.of(self.settings, self.environ).ensure(tuple(names) or needed(self.settings), progress)

    @contextmanager
    def session(self, tools: Mapping[str, InstalledTool], *, start: bool = True) -> Iterator[Open]:
        """An open session. Without tools it can read states and servers, and starts no engine.

        With `start`, whoever needs a server of the lab that does not run starts it.
        """
        current = Current()
        connections = Connections.of(
            self.settings,
            servers=desired.servers(self.settings, tools) if tools and start else (),
            progress=current,
            observe=self.observe,
            environ=self.environ,
        )

        def engine() -> Path:
            return tools["pulumi"].path

        with Session(self.settings, engine=engine, connections=connections, progress=current) as session:
            yield Open(session=session, tools=tools, connections=connections, current=current)

    def observe(self, verb: str, path: str, _status: int) -> None:
        """Counts a request if it may have changed something."""
        self.writes += writes(verb, path)


def tool_names() -> list[str]:
    """Every tool that can be asked for by its name."""
    return sorted(load_pins().tools)
