"""`make bench`: how long bring-up takes, with Nexus alone beside it, and what the lab takes at rest.

Prints and keeps one JSON document. With `--cold` it starts from an empty home and an empty tools cache.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from infra.core.settings import Settings
from infra.operations.pipeline_run import ENDED
from infra.programs.lab import lab_servers
from infra.toolchain.toolchain import LAB_TOOLS, Toolchain
from tests.benchmarks.figure import conditions, tell
from tests.trial import Stack, free_ports, stack

KEPT = "bring_up.json"


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", action="store_true", help="also measure from an empty home and cache (minutes)")
    figures: dict[str, Any] = {
        **conditions(),
    }
    if parser.parse_args().cold:
        figures["cold_up_seconds"] = cold()
    with stack() as made:
        figures["nexus_alone_seconds"] = nexus_alone(made.settings, as_shipped=False)
        figures["nexus_alone_as_shipped_seconds"] = nexus_alone(made.settings, as_shipped=True)
        figures["up"] = timed_up(made)
        figures["up_per_nexus_alone"] = round(figures["up"]["seconds"] / figures["nexus_alone_seconds"], 2)
        figures["up_per_nexus_as_shipped"] = round(
            figures["up"]["seconds"] / figures["nexus_alone_as_shipped_seconds"], 2
        )
        figures["first_pipelines"] = first_pipelines(made)
        figures["up_again"] = timed_up(made)
        time.sleep(20)
        figures["at_rest_mib"] = at_rest(made.settings)
        made.run("down")
        figures["up_after_down"] = timed_up(made)
    tell(figures, kept=KEPT)


def first_pipelines(made: Stack) -> dict[str, Any]:
    """Seconds from the end of `up` until the ten pipelines that it started have ended, and how many are green."""
    began = time.monotonic()
    while True:
        runs = [service["pipeline"] for service in made.json("status")["services"]]
        if all(run["status"] in ENDED for run in runs):
            green = sum(run["status"] == "success" for run in runs)
            return {"seconds": round(time.monotonic() - began, 1), "green": green}
        time.sleep(2)


def timed_up(made: Stack) -> dict[str, Any]:
    """One `up`: seconds as a whole and by phase, and what it wrote."""
    began = time.monotonic()
    outcome = made.json("up")
    seconds = round(time.monotonic() - began, 2)
    return {"seconds": seconds, "phases": outcome["phases"], "writes": outcome["writes"]}


def cold() -> float:
    """Seconds of `forgeline up` with nothing cached: tools, builds, servers, services."""
    with tempfile.TemporaryDirectory() as home:
        kept = ("PATH", "LANG", "TERM")
        environ = {name: value for name, value in os.environ.items() if name in kept or name.endswith(("CERT", "FILE"))}
        with stack({**environ, "HOME": home}) as made:
            began = time.monotonic()
            made.run("up", timeout=3600)
            seconds = round(time.monotonic() - began, 1)
            # Go writes its module cache read-only.
            subprocess.run(["chmod", "-R", "u+w", home], check=True)
            return seconds


def nexus_alone(settings: Settings, *, as_shipped: bool) -> float:
    """Seconds from the start of Nexus on an empty folder to its first answer, with our Java options or without."""
    tools = Toolchain.of(settings, os.environ).ensure(LAB_TOOLS)
    server = next(s for s in lab_servers(settings, {n: t.path for n, t in tools.items()}) if s.name == "nexus")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for name in ("etc", "tmp", "log"):
            (data / name).mkdir()
        (port,) = free_ports(1)
        properties = next(file.content for file in server.files if file.path.endswith("nexus.properties"))
        moved = properties.replace(f"application-port={settings.profile.ports.nexus}", f"application-port={port}")
        (data / "etc" / "nexus.properties").write_text(moved, encoding="utf-8")
        own = {} if as_shipped else {"EXTRA_JAVA_OPTS": server.environment["EXTRA_JAVA_OPTS"]}
        environment = {
            "PATH": os.environ["PATH"],
            "JAVA_HOME": server.environment["JAVA_HOME"],
            "KARAF_DATA": folder,
            "HOME": folder,
            **own,
        }
        began = time.monotonic()
        process = psutil.Popen(
            list(server.command), env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_answer(f"http://127.0.0.1:{port}/service/rest/v1/status")
            return round(time.monotonic() - began, 2)
        finally:
            for member in [*process.children(recursive=True), process]:
                member.kill()
            process.wait()


def wait_answer(url: str) -> None:
    """Returns when `url` answers 200; gives up after five minutes."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise TimeoutError(url)


def at_rest(settings: Settings) -> dict[str, float]:
    """MiB by program of everything under the stack's supervisor: memory of its own plus its share of what is shared."""
    from infra.clients.supervisor import Supervisor

    supervisor = Supervisor(settings.state)
    sizes = {}
    for name, program in supervisor.programs().items():
        if program.pid:
            family = [psutil.Process(program.pid), *psutil.Process(program.pid).children(recursive=True)]
            sizes[name] = round(sum(member.memory_full_info().pss for member in family) / 2**20, 1)
    return {**sizes, "total": round(sum(sizes.values()), 1)}


if __name__ == "__main__":
    main()
