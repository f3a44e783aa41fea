"""Servers to compare, and the table of how like GitLab they were found to be."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from infra.core.settings import load_settings
from infra.lab.gitlab.app import build
from infra.lab.gitlab.bootstrap import Administrator, bootstrap
from infra.lab.gitlab.instance import Settings
from tests.trial import free_ports

TOKEN = "glpat-likeness-0123456789"
_COLUMNS = ("oracle", "cases", "agreeing", "refused by design", "explained", "skipped by its authors", "failing")


@dataclass(frozen=True, kw_only=True)
class Score:
    """How many of an oracle's cases came out how."""

    oracle: str
    cases: int
    agreeing: int
    refused: int = 0
    explained: int = 0
    """Where the oracle is not GitLab, and GitLab's documentation says otherwise."""
    skipped: int = 0

    @property
    def failing(self) -> int:
        """Those that are neither."""
        return self.cases - self.agreeing - self.refused - self.explained - self.skipped


_SCORES: list[Score] = []


def record(score: Score) -> None:
    """Have a line of the table printed at the end."""
    _SCORES.append(score)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note whose case a test is, for the table; also of tests in other folders."""
    for item in items:
        for mark in item.iter_markers("oracle"):
            item.user_properties.append(("oracle", mark.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table. Tests with the mark `oracle` are a case each."""
    outcomes: dict[str, list[bool]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(outcome):
            for name in [value for key, value in getattr(report, "user_properties", []) if key == "oracle"]:
                outcomes.setdefault(name, []).append(outcome == "passed")
    by_test = [Score(oracle=name, cases=len(each), agreeing=sum(each)) for name, each in sorted(outcomes.items())]
    rows = [
        (each.oracle, each.cases, each.agreeing, each.refused, each.explained, each.skipped, each.failing)
        for each in [*_SCORES, *by_test]
    ]
    if not rows:
        return
    table = [_COLUMNS, *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(row[index]) for row in table) for index in range(len(_COLUMNS))]
    terminalreporter.section("likeness")
    for row in table:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        terminalreporter.line("  ".join(cells))


@contextmanager
def served(data: Path) -> Iterator[str]:
    """A stand-in of its own, with an administrator whose token is TOKEN; its address."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    app = build(Settings(data=data, external_url=url))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    with app.state.instance.store.write() as session:
        wanted = {"username": "root", "password": "correct horse battery", "token": TOKEN}
        bootstrap(session, Administrator.model_validate(wanted))
    yield url
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts an empty stand-in; its address."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(served(tmp_path / name))


@pytest.fixture(scope="session")
def cache() -> Path:
    """The folder of what was downloaded."""
    return load_settings(os.environ).cache


@pytest.fixture(scope="session")
def runner_binary(cache: Path) -> Path | None:
    """The real GitLab Runner, if the tools are there."""
    return max((cache / "tools" / "gitlab-runner").glob("*/bin/gitlab-runner"), default=None)
