"""A real container engine of the tests' own: on a socket of its own, with data that goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.clients.container_engine import ContainerEngine
from infra.core.error import ServerError

PATIENCE = 60
PACKAGE = ("apt-get", "install", "-y", "-qq", "docker.io")

PROGRAM = """
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	mode := "serve"
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	switch mode {
	case "healthy":
		return
	case "ill":
		fmt.Println("the valve is stuck")
		os.Exit(1)
	case "die":
		fmt.Println("the market is closed")
		os.Exit(7)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go http.ListenAndServe(":8080", http.FileServer(http.Dir("/data")))
	fmt.Println("serving")
	<-stop
}
"""


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an engine that runs for these tests alone."""
    if os.geteuid() != 0:
        pytest.skip("starting a container engine needs root")
    if shutil.which("dockerd") is None:
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False, timeout=300)
        subprocess.run(PACKAGE, capture_output=True, check=False, timeout=300)
    if shutil.which("dockerd") is None:
        pytest.skip(f"there is no dockerd, and `{' '.join(PACKAGE)}` does not get it")
    folder = tmp_path_factory.mktemp("engine")
    address = f"unix://{folder}/docker.sock"
    with (folder / "log").open("w") as log:
        engine = subprocess.Popen(
            [
                "dockerd",
                f"--host={address}",
                f"--data-root={folder}/data",
                f"--exec-root={folder}/exec",
                f"--pidfile={folder}/pid",
                "--bridge=none",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        wait(address, engine, folder / "log")
        yield address
    finally:
        engine.terminate()
        engine.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def wait(address: str, engine: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when the engine answers. Skips, with its last lines, where this machine lets none run."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and engine.poll() is None:
        try:
            ContainerEngine.of({"DOCKER_HOST": address}).close()
        except ServerError:
            time.sleep(0.3)
        else:
            return
    engine.terminate()
    pytest.skip(f"dockerd does not run here: {log.read_text()[-400:]}")


@pytest.fixture(scope="session")
def engine(host: str) -> Iterator[ContainerEngine]:
    """The engine."""
    made = ContainerEngine.of({"DOCKER_HOST": host})
    yield made
    made.close()


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder from which an image is built without any other: a program that serves a folder, and its Dockerfile."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no go on this machine; `make tools` gets one")
    folder = tmp_path_factory.mktemp("context")
    (folder / "main.go").write_text(PROGRAM)
    subprocess.run(
        [go, "build", "-o", "program", "main.go"],
        cwd=folder,
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
        timeout=300,
    )
    (folder / "main.go").unlink()
    (folder / "data").mkdir()
    (folder / "Dockerfile").write_text(
        "FROM scratch\nENV FROM_IMAGE=yes\nLABEL from.image=yes\nCOPY program /program\nCOPY data /data\n"
        'ENTRYPOINT ["/program"]\n'
    )
    return folder
