"""Runs the engine's binary: in a session of its own, so that Ctrl-C reaches it once, and from us."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import VersionInfo

from infra.core.error import ToolError

ENGINE_VERSION = "3.230.0"
"""The toolchain's pin, and the SDK's version; asking the binary for it costs 0.2 s a run."""

_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")


class EngineCommand(PulumiCommand):
    """The Automation API's command, on a binary at a given path, that can be interrupted."""

    def __init__(self, binary: Path) -> None:
        """Raises ToolError when the binary is not there."""
        if not os.access(binary, os.X_OK):
            raise ToolError("there is no Pulumi engine", where=str(binary), fix="run `forgeline up`, which gets it")
        self.command = str(binary)
        self.version = VersionInfo.parse(ENGINE_VERSION)
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._interrupted = False

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> CommandResult:
        """Runs it and waits. Raises the Automation API's CommandError when it fails."""
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {**additional_env, "PULUMI_AUTOMATION_API": "true"}
        with self._lock:
            if self._interrupted:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                [self.command, *args, "--non-interactive"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=environment,
                text=True,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            stdout, stderr = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        for text, callback in ((stdout, on_output), (stderr, on_error)):
            if callback is not None:
                for line in text.splitlines():
                    callback(line)
        result = CommandResult(stdout=stdout, stderr=stderr, code=process.returncode)
        if process.returncode != 0:
            raise create_command_error(result)
        return result

    def interrupt(self) -> None:
        """Asks every running engine to stop after what it is doing, and lets none start."""
        with self._lock:
            self._interrupted = True
            for process in self._running:
                process.send_signal(signal.SIGINT)
