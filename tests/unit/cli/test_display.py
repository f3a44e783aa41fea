"""Progress on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from infra.cli.display import Display


def shown(*, terminal: bool = False, quiet: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False, color_system=None)
    display = Display(console, quiet=quiet)
    with display.phase("Servers") as phase:
        phase.start("nexus", "waiting for an answer")
        phase.start("nexus", "the password was set")
        phase.start("openbao", "waiting")
        phase.done("nexus", "3.71")
        phase.failed("openbao", "died\nwith a second line")
    return out.getvalue()


def test_elsewhere_each_item_has_a_line_when_it_begins_and_when_it_ends() -> None:
    lines = shown().splitlines()
    assert lines[0] == "Servers"
    assert [line.split()[:2] for line in lines[1:]] == [
        ["…", "nexus"],
        ["…", "openbao"],
        ["✓", "nexus"],
        ["✗", "openbao"],
    ]
    assert "second line" not in lines[-1]


def test_a_terminal_shows_the_phase_with_its_time() -> None:
    text = shown(terminal=True)
    assert "✓ nexus" in text
    assert "Servers" in text.splitlines()[-1] or "Servers" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_shows_nothing(terminal: bool) -> None:
    assert shown(terminal=terminal, quiet=True) == ""
