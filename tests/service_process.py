"""Services as their skeletons make them: written into a folder, built by their language's tools, and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from pipelines.skeleton import SkeletonService, java_package, python_package, render_skeleton

TOOLS = {"generic": "bash", "go": "go", "java": "javac", "node": "node", "python": sys.executable}


@dataclass(frozen=True, kw_only=True)
class ServiceProcess:
    """A service that runs."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, path: str, body: str | None = None) -> tuple[int, Any]:
        """Status and JSON of the answer; POST if there is a body."""
        status, text, _ = self.exchange(path, body)
        return status, json.loads(text)

    def exchange(
        self, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str, Mapping[str, str]]:
        """Status, text and headers (in lower case) of the answer."""
        request = urllib.request.Request(self.url + path, None if body is None else body.encode(), dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read().decode(), _lower(response.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), _lower(error.headers)

    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]

    def wait(self) -> None:
        """Return when the service answers; fail with its log if it ends or takes more than a minute."""
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                self.call("/health")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
            else:
                return
        pytest.fail(f"{self.name} does not answer:\n{self.log.read_text()}")


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def build(service: SkeletonService, folder: Path) -> list[str]:
    """Write the service's repository into `folder` and build it: the command that runs it there."""
    tool = TOOLS[service.language]
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on the PATH")
    for path, text in render_skeleton(service).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    steps, command = _steps(service, folder)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -trimpath", "GOPROXY": "off"}
    for step in steps:
        subprocess.run(step, cwd=folder, env=environment, check=True)
    return command


def _steps(service: SkeletonService, folder: Path) -> tuple[list[list[str]], list[str]]:
    match service.language:
        case "go":
            return [["go", "build", "-o", "dist/service", f"./cmd/{service.name}"]], ["dist/service"]
        case "java":
            sources = sorted(str(path) for path in (folder / "src/main").rglob("*.java"))
            compiler = ["javac", "--release", "17", "-Xlint:all", "-Werror", "-d", "classes", *sources]
            return [compiler], ["java", "-Xmx64m", "-cp", "classes", f"{java_package(service.name)}.Application"]
        case "node":
            return [], ["node", "src/main.js"]
        case "python":
            entry = f"{python_package(service.name)}.__main__:main"
            return [[sys.executable, "-m", "zipapp", "src", "-m", entry, "-o", "service.pyz"]], [
                sys.executable,
                "service.pyz",
            ]
        case _:
            return [["bash", "ci/build"]], [f"dist/{service.name}"]


@contextmanager
def running(
    name: str, command: list[str], folder: Path, port: int, variables: Mapping[str, str]
) -> Iterator[ServiceProcess]:
    """The service, answering, with these variables besides PORT and SERVICE_VERSION (1.2.3)."""
    environment = {**os.environ, "PORT": str(port), "SERVICE_VERSION": "1.2.3", **variables}
    environment.pop("HOST", None)
    log = folder / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out) as process,
    ):
        try:
            service = ServiceProcess(name=name, process=process, port=port, log=log)
            service.wait()
            yield service
        finally:
            process.kill()
