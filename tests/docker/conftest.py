"""A real container engine of the tests' own: on a socket of its own, with data that goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.clients.container_engine import ContainerEngine
from tests.docker.certificate import Authority
from tests.docker.daemon import Daemon, ensure_installed
from tests.trial import free_ports

PROGRAM = """
package main

import (
	"fmt"
	"io"
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
	case "has":
		if _, err := os.Stat(os.Args[2]); err != nil {
			os.Exit(1)
		}
		return
	case "show":
		content, _ := os.ReadFile(os.Args[2])
		os.Stdout.Write(content)
		return
	case "ill":
		fmt.Println("the valve is stuck")
		os.Exit(1)
	case "-f": // as rm
		os.Remove(os.Args[2])
		return
	case "die":
		fmt.Println("the market is closed")
		os.Exit(7)
	}
	if mode == "keep" {
		content, _ := io.ReadAll(os.Stdin)
		if err := os.WriteFile(os.Args[2], content, 0o600); err != nil {
			panic(err)
		}
		return
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if mode == "tls" {
		go http.ListenAndServeTLS(":8443", os.Args[2], os.Args[3], nil)
	}
	go http.ListenAndServe(":8080", http.FileServer(http.Dir("/data")))
	fmt.Println("serving")
	<-stop
}
"""


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as DOCKER_CERT_PATH has it, of the authority that the engine trusts."""
    return Authority("the engine's").write(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls_port() -> int:
    """Where the engine listens with TLS."""
    (port,) = free_ports(1)
    return port


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory, certificates: Path, tls_port: int) -> Iterator[Daemon]:
    """An engine that runs for these tests alone."""
    ensure_installed("dockerd", "docker.io")
    made = Daemon(
        tmp_path_factory.mktemp("engine"),
        f"--host=tcp://127.0.0.1:{tls_port}",
        "--tlsverify",
        f"--tlscacert={certificates}/ca.pem",
        f"--tlscert={certificates}/cert.pem",
        f"--tlskey={certificates}/key.pem",
    )
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def host(daemon: Daemon) -> str:
    """The engine's address."""
    return daemon.address


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
    (folder / "data" / "page").write_text("hello\n")
    (folder / "Dockerfile").write_text(
        "FROM scratch\nENV FROM_IMAGE=yes\nLABEL from.image=yes\nCOPY program /program\n"
        "COPY program /bin/rm\nCOPY data /data\n"
        'ENTRYPOINT ["/program"]\n'
    )
    return folder
