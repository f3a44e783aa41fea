"""A stack of its own for tests and measurements: temporary folder, free ports, used through the command line."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.core.settings import ROOT, Settings, load_settings
from pipelines.catalogue import Environment, load_catalogue

FORGELINE = Path(sys.executable).with_name("forgeline")


@dataclass(frozen=True)
class Stack:
    """A lab in a temporary folder, used through the command line as a person would."""

    folder: Path
    environment: dict[str, str]

    @property
    def settings(self) -> Settings:
        """The stack's settings."""
        return load_settings(self.environment)

    def run(self, *arguments: str, expect: int | None = 0, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Run `forgeline ARGUMENTS`; the exit code must be `expect`, unless that is None."""
        result = subprocess.run(
            [str(FORGELINE), *arguments],
            env=self.environment,
            cwd=ROOT,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        told = f"forgeline {' '.join(arguments)} exited {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert expect is None or result.returncode == expect, told
        return result

    def json(self, *arguments: str, expect: int | None = 0) -> Any:
        """The JSON document that `forgeline --json ARGUMENTS` prints."""
        return json.loads(self.run("--json", *arguments, expect=expect).stdout)


@contextmanager
def stack(environ: Mapping[str, str] = os.environ, *, room: int = 0) -> Iterator[Stack]:
    """A stack that nothing was done to yet, with ports for `room` more services; it is destroyed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="forgeline-"))
    profile = folder / "trial.yaml"
    gitlab, openbao, cluster, nexus = free_ports(4)
    ports = [service.port for service in load_catalogue()]
    offsets = free_offsets([*ports, *range(max(ports) + 1, max(ports) + 1 + room)])
    profile.write_text(
        "name: trial\n"
        f"ports: {{gitlab: {gitlab}, openbao: {openbao}, openbao_cluster: {cluster}, nexus: {nexus}}}\n"
        f"environment_port_offsets: {json.dumps(offsets)}\n"
        "advisories: infra/profiles/advisories\n"
        f"night: {{begins: {(datetime.now(UTC).hour + 12) % 24}}}\n"
    )
    made = Stack(folder, {**environ, "FORGELINE_PROFILE": str(profile), "FORGELINE_STATE": str(folder / "state")})
    try:
        yield made
    finally:
        made.run("destroy", "--yes")
        shutil.rmtree(folder)


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback address that nobody uses now.

    Below those that the system hands out itself: a server that starts later would find one of them taken by any
    connection of that moment. Drawn by chance, for other tests draw at the same time.
    """
    listeners: list[socket.socket] = []
    try:
        for port in random.sample(range(11_000, 19_000), 200):
            with suppress(OSError):
                listeners.append(socket.create_server(("127.0.0.1", port)))
            if len(listeners) == count:
                return [int(listener.getsockname()[1]) for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
    raise AssertionError(f"there are no {count} free ports")


def free_offsets(ports: list[int]) -> dict[str, int]:
    """For each environment a number that, added to `ports`, gives free ports below those of the system's own choice.

    Drawn by chance: another stack's services may not listen yet.
    """
    names = [str(environment) for environment in Environment]
    width = max(ports) - min(ports) + 1
    for first in random.sample(range(11_000, 23_000, 20), 100):
        offsets = {name: first + index * width for index, name in enumerate(names)}
        try:
            for port in (port + offset for offset in offsets.values() for port in ports):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return offsets
    raise AssertionError("no block of free ports")
