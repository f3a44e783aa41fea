"""Merges a file's lines three-way, with git: what it can't merge is left to people, and no conflict mark comes out."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from infra.core.error import ToolError

TIMEOUT: Final = 30
"""Seconds that one file may take."""

_ALONE: Final = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"}
"""This machine's git settings do not change what comes out."""


def merge_lines(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """What has the changes of both, or None where they get in each other's way or a side is not text.

    Raises ToolError where git can't be run.
    """
    with tempfile.TemporaryDirectory(prefix="forgeline-merge-") as folder:
        place = Path(folder)
        for name, content in (("ours", ours), ("base", base), ("theirs", theirs)):
            (place / name).write_bytes(content)
        command = ["git", "merge-file", "--stdout", "--quiet", "ours", "base", "theirs"]
        try:
            done = subprocess.run(
                command,
                cwd=place,
                env={"PATH": os.environ.get("PATH", ""), **_ALONE},
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
            )
        except FileNotFoundError as error:
            raise ToolError("there is no git", fix="install git") from error
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"git did not merge a file within {TIMEOUT} s") from error
    # The exit code is the number of conflicts, or negative for what is not text: see git-merge-file(1).
    return done.stdout if done.returncode == 0 else None
