"""Shows long work: live lines at a terminal, one line an event elsewhere. Knows nothing of what the work is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

ITEM_WIDTH = 26
"""Characters that the names of what is worked on are padded to: the longest of the ten services' stacks."""


@dataclass
class _Item:
    doing: str
    started: float


@dataclass
class Phase:
    """One phase of a run as infra.core.progress.Progress sees it; safe to call from several threads."""

    title: str
    console: Console
    live: bool
    _items: dict[str, _Item] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _began: float = field(default_factory=time.monotonic)

    def start(self, item: str, doing: str) -> None:
        """Show that `item` is being worked on."""
        with self._lock:
            known = self._items.get(item)
            if known is None:
                self._items[item] = _Item(doing, time.monotonic())
            else:
                known.doing = doing
        if known is None and not self.live:
            self._print("…", item, doing, None)

    def done(self, item: str, outcome: str) -> None:
        """Show that `item` is finished."""
        self._finish("✓", "green", item, outcome)

    def failed(self, item: str, reason: str) -> None:
        """Show that `item` failed."""
        self._finish("✗", "red", item, reason.splitlines()[0] if reason else "failed")

    def renderable(self) -> RenderableType:
        """What is under way now."""
        now = time.monotonic()
        table = Table.grid(padding=(0, 2))
        with self._lock:
            for name, item in self._items.items():
                table.add_row(
                    Spinner("dots"), name, Text(item.doing, style="dim"), Text(_seconds(now - item.started), "dim")
                )
        return Group(table)

    def close(self) -> None:
        """Print the phase's own line with its time."""
        self.console.print(
            Text.assemble((f"{self.title}", "bold"), (f"  {_seconds(time.monotonic() - self._began)}", "dim"))
        )

    def _finish(self, mark: str, style: str, item: str, text: str) -> None:
        with self._lock:
            known = self._items.pop(item, None)
        self._print(Text(mark, style=style), item, text, time.monotonic() - known.started if known else None)

    def _print(self, mark: Text | str, item: str, text: str, seconds: float | None) -> None:
        line = Text.assemble("  ", mark, " ", f"{item:<{ITEM_WIDTH}} ", (text, "dim"))
        if seconds is not None:
            line.append(f"  {_seconds(seconds)}", style="dim")
        self.console.print(line, soft_wrap=True, highlight=False)


class Display:
    """Draws phases on standard error, so that standard output stays for results."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self._quiet = quiet

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        """A phase of the run; its lines stay on the screen, its time is printed at its end."""
        live = self.console.is_terminal and not self._quiet
        phase = Phase(title, Console(quiet=True) if self._quiet else self.console, live)
        if not live:
            if not self._quiet:
                self.console.print(Text(title, style="bold"))
            yield phase
            return
        with Live(get_renderable=phase.renderable, console=self.console, refresh_per_second=8, transient=True):
            yield phase
        phase.close()


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
