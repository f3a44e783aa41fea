"""Calls git, closed off from this machine: no user's or system's configuration, no hooks but the server's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

NO_OBJECT = "0" * 40
"""Stands for a ref that isn't there, before or after."""

_CONFIGURATION = (
    ("core.fsync", "committed,reference"),
    ("core.fsyncMethod", "batch"),
    ("core.logAllRefUpdates", "false"),
    ("core.quotePath", "false"),
    ("fetch.fsckObjects", "true"),
    ("gc.auto", "0"),
    ("http.receivepack", "true"),
    ("receive.advertisePushOptions", "true"),
    ("receive.autogc", "false"),
    ("receive.denyDeleteCurrent", "ignore"),
    ("receive.fsckObjects", "true"),
    ("receive.maxInputSize", "2g"),
    ("repack.writeBitmaps", "false"),
    ("transfer.hideRefs", "refs/forgeline"),
    ("transfer.hideRefs", "refs/keep-around"),
    ("transfer.hideRefs", "refs/pipelines"),
    ("uploadpack.allowAnySHA1InWant", "true"),
    ("uploadpack.allowFilter", "true"),
)


class GitError(Exception):
    """Git answered with an error. `output` is what it said."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        super().__init__(f"git {' '.join(command[:2])} ended with {code}: {output.strip()}")
        self.code = code
        self.output = output


def environment(*, hooks: Path | None = None, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a git process. `hooks` is the server's own folder of hooks; without it none run."""
    configuration = (*_CONFIGURATION, ("core.hooksPath", str(hooks or os.devnull)))
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_COUNT": str(len(configuration)),
        **{f"GIT_CONFIG_KEY_{index}": key for index, (key, _) in enumerate(configuration)},
        **{f"GIT_CONFIG_VALUE_{index}": value for index, (_, value) in enumerate(configuration)},
        **(extra or {}),
    }


def run(
    repository: Path, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None, timeout: float = 120
) -> bytes:
    """Git's standard output. Raises GitError when it ends with an error or takes longer than `timeout` seconds."""
    try:
        done = subprocess.run(
            ["git", f"--git-dir={repository}", *arguments],
            input=stdin,
            capture_output=True,
            env=environment(extra=extra),
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise GitError(arguments, -1, f"took longer than {timeout} s") from error
    if done.returncode != 0:
        raise GitError(arguments, done.returncode, done.stderr.decode("utf-8", "replace"))
    return done.stdout


def attempt(repository: Path, *arguments: str) -> bytes | None:
    """Git's standard output, or None when it ends with an error: for questions whose answer may be no."""
    try:
        return run(repository, *arguments)
    except GitError:
        return None
