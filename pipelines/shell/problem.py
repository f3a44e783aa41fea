"""What bash itself and ShellCheck have against a script."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.core.error import ToolError

TIMEOUT: Final = 120
"""Seconds that bash and ShellCheck may take for all scripts of a call."""

HEADER: Final = "#!/bin/bash\nset -eo pipefail\n"
"""What the runner's shell executor puts in front of a script."""

_BASH_MESSAGE = re.compile(r"line (\d+): (.*)")


@dataclass(frozen=True, kw_only=True)
class ShellProblem:
    """What is wrong at a line (from 1) of a script."""

    line: int
    message: str
    level: str = "error"
    """ShellCheck's: error, warning, info, style."""


def syntax_problems(script: str) -> list[ShellProblem]:
    """What `bash -n` says of the script. Raises ToolError if there is no bash."""
    done = _run(["bash", "-n"], script)
    found = [_BASH_MESSAGE.search(line) for line in done.stderr.splitlines()]
    problems = [ShellProblem(line=int(m[1]), message=m[2]) for m in found if m]
    return problems[:1] or ([ShellProblem(line=1, message=done.stderr.strip())] if done.returncode else [])


def shellcheck_problems(scripts: Iterable[str]) -> Mapping[str, list[ShellProblem]]:
    """What ShellCheck says of each script, all in one run. Raises ToolError if there is no ShellCheck."""
    distinct = list(dict.fromkeys(scripts))
    if not distinct:
        return {}
    with tempfile.TemporaryDirectory(prefix="forgeline-shellcheck-") as folder:
        files = [Path(folder) / f"{index}.sh" for index in range(len(distinct))]
        for file, script in zip(files, distinct, strict=True):
            file.write_text(HEADER + script, encoding="utf-8")
        done = _run([_shellcheck(), "--norc", "--format=json1", "--shell=bash", *map(str, files)], "")
    try:
        comments: list[dict[str, Any]] = json.loads(done.stdout)["comments"]
    except (ValueError, KeyError) as error:
        raise ToolError("ShellCheck's answer isn't JSON", detail=done.stderr.strip()[-2000:]) from error
    problems: dict[str, list[ShellProblem]] = {script: [] for script in distinct}
    for comment in comments:
        script = distinct[int(Path(comment["file"]).stem)]
        line = comment["line"] - HEADER.count("\n")
        message = f"SC{comment['code']}: {comment['message']}"
        problems[script].append(ShellProblem(line=max(line, 1), message=message, level=comment["level"]))
    return problems


def clean(scripts: Sequence[str], processes: int = os.cpu_count() or 1) -> set[str]:
    """The scripts that neither bash nor ShellCheck has anything against; several programs look at them side by side.

    Raises ToolError if there is no bash or no ShellCheck.
    """
    parts = [part for start in range(processes) if (part := scripts[start::processes])]
    with ThreadPoolExecutor(max(len(parts), 1)) as pool:
        checked = list(pool.map(shellcheck_problems, parts))
        without = [script for part in checked for script, problems in part.items() if not problems]
        readable = list(pool.map(lambda script: not syntax_problems(script), without))
    return {script for script, fine in zip(without, readable, strict=True) if fine}


def _shellcheck() -> str:
    beside = Path(sys.executable).with_name("shellcheck")
    found = str(beside) if beside.exists() else shutil.which("shellcheck")
    if not found:
        raise ToolError("there is no shellcheck", fix="install the development dependencies: make install")
    return found


def _run(command: list[str], text: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except FileNotFoundError as error:
        raise ToolError(f"there is no {command[0]}", fix=f"install {command[0]}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{Path(command[0]).name} did not end within {TIMEOUT} s") from error
