"""How the embedded GitLab answers fifty clients at once: the traffic of tests/likeness/test_load.py, measured.

Prints and keeps one JSON document, with the machine's own load beside it: the clients run on the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tests.embedded import ROOT_TOKEN, bootstrap, serving
from tests.likeness.audit import losses
from tests.likeness.traffic import PUSHERS, READERS, RUNNERS, WRITERS, Traffic

KEPT = Path(__file__).parent / "gitlab.json"


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long the clients work (default 60)")
    parser.add_argument("--print-only", action="store_true", help="leave the kept figures as they are")
    given = parser.parse_args()
    figures = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.machine()}",
        "load_before": [round(each, 2) for each in os.getloadavg()],
        "clients": {"read": READERS, "write": WRITERS, "push": PUSHERS, "run": RUNNERS},
        "seconds": given.seconds,
        **measured(given.seconds),
    }
    text = json.dumps(figures, indent=2)
    if not given.print_only:
        KEPT.write_text(text + "\n", encoding="utf-8")
    print(text)  # noqa: T201 - this is the command's result


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
