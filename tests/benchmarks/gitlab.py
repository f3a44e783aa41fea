"""How the embedded GitLab answers fifty clients at once: the traffic of tests/likeness/test_load.py, measured.

Prints and keeps one JSON document, with the machine's own load beside it: the clients run on the same machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.figure import conditions, tell
from tests.embedded import ROOT_TOKEN, bootstrap, serving
from tests.likeness.audit import losses
from tests.likeness.traffic import PUSHERS, READERS, RUNNERS, WRITERS, Traffic

KEPT = "gitlab.json"


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long the clients work (default 60)")
    parser.add_argument("--print-only", action="store_true", help="leave the kept figures as they are")
    given = parser.parse_args()
    figures = {
        **conditions(),
        "clients": {"read": READERS, "write": WRITERS, "push": PUSHERS, "run": RUNNERS},
        "seconds": given.seconds,
        **measured(given.seconds),
    }
    tell(figures, kept="" if given.print_only else KEPT)


def measured(seconds: float) -> dict[str, Any]:
    """Figures of one load on a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        bootstrap(data)
        with serving(data) as (process, url):
            traffic = Traffic(url=url, token=ROOT_TOKEN, folder=Path(folder))
            traffic.prepare()
            server = psutil.Process(process.pid)
            psutil.cpu_percent()
            with traffic.running():
                time.sleep(seconds)
                busy = psutil.cpu_percent()
                memory = server.memory_info().rss / 2**20
            ledger = traffic.ledger
            return {
                "machine_busy_percent": busy,
                "server_mib": round(memory, 1),
                "reads": spread(ledger.reads),
                "writes": spread(ledger.writes),
                "pushes": spread(ledger.push_seconds),
                "job_start_after_push": spread(ledger.start_seconds()),
                "jobs": len(ledger.results),
                "problems": ledger.problems,
                "losses": losses(traffic, data),
            }


def spread(values: list[float]) -> dict[str, float]:
    """How many, and milliseconds: median, 99th percentile, most."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    figures = {"median_ms": cuts[49], "p99_ms": cuts[98], "most_ms": max(values)}
    return {"count": len(values), **{name: round(value * 1000, 1) for name, value in figures.items()}}


if __name__ == "__main__":
    main()
