"""A container engine of the tests' own: on sockets of its own, with data that goes with it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from infra.clients.container_engine import ContainerEngine
from infra.core.error import ServerError

PATIENCE = 60

STARTING = Path(tempfile.gettempdir()) / "forgeline-test-dockerd.lock"


class Daemon:
    """An engine in a folder. It can be started again on the data that it left."""

    def __init__(self, folder: Path, *options: str, data: Path | None = None) -> None:
        self.folder = folder
        self.address = f"unix://{folder}/docker.sock"
        self._data = data or folder / "data"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when the engine answers. Skips, with its last lines, where this machine lets none run."""
        # Two engines that start at once each take the other's chains out of the packet filter.
        with STARTING.open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            self._start()

    def _start(self) -> None:
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [
                    "dockerd",
                    f"--host={self.address}",
                    f"--data-root={self._data}",
                    f"--exec-root={self.folder}/exec",
                    f"--pidfile={self.folder}/pid",
                    "--bridge=none",
                    *self._options,
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                ContainerEngine.of({"DOCKER_HOST": self.address}).close()
            except ServerError:
                time.sleep(0.3)
            else:
                return
        self._process.terminate()
        pytest.skip(f"dockerd does not run here: {(self.folder / 'log').read_text()[-400:]}")

    def kill(self) -> None:
        """The engine dies at once, and says nothing to anybody."""
        assert self._process is not None
        below = self.folder / "exec" / "containerd" / "containerd.pid"
        containerd = psutil.Process(int(below.read_text()))
        self._process.kill()
        self._process.wait(timeout=PATIENCE)
        # It dies with the engine, which would wait for one that is dead and has not been collected.
        deadline = time.monotonic() + PATIENCE
        while containerd.is_running() and containerd.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "containerd lives on"
            time.sleep(0.05)
        below.unlink()

    def stop(self) -> None:
        """The engine ends, and all that it runs; what a killed one left mounted goes too."""
        assert self._process is not None
        if self._process.poll() is None:
            self._remove_networks()
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)
        below = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in reversed([place for place in below if place.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)

    def _remove_networks(self) -> None:
        """An engine leaves its networks to the machine, which has room for some thirty."""
        engine = ContainerEngine.of({"DOCKER_HOST": self.address})
        for container in engine.client.containers.list(all=True):
            container.remove(force=True)
        engine.client.networks.prune()
        engine.close()


def ensure_installed(program: str, package: str) -> str:
    """The program's path, from the system's packages if it is not there. Skips where it can't be had."""
    if os.geteuid() != 0:
        pytest.skip(f"{program} needs root here")
    path = os.environ["PATH"] + os.pathsep + "/usr/sbin"
    install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", package)
    if shutil.which(program, path=path) is None:
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False, timeout=300)
        subprocess.run(install, capture_output=True, check=False, timeout=300)
    found = shutil.which(program, path=path)
    if found is None:
        pytest.skip(f"there is no {program}, and `{' '.join(install)}` does not get it")
    return found
