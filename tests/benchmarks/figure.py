"""What every benchmark does with its figures, and what several of them measure with."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

FOLDER = Path(__file__).parent


def conditions() -> dict[str, Any]:
    """When and on what it is measured, and what the machine was busy with before (load of 1, 5 and 15 minutes)."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.machine()}",
        "load_before": [round(each, 2) for each in os.getloadavg()],
    }


def tell(figures: dict[str, Any], *, kept: str = "") -> None:
    """Prints the figures as JSON, and keeps them in the file `kept` of this folder if one is named."""
    text = json.dumps(figures, indent=2)
    if kept:
        (FOLDER / kept).write_text(text + "\n", encoding="utf-8")
    print(text)  # noqa: T201 - this is the command's result


def install(requirement: str, venv: Path) -> Path:
    """Installs another tool into an environment of its own; returns the folder of its programs."""
    programs = venv / "bin"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, capture_output=True, timeout=120)
    pip = [str(programs / "pip"), "install", "--quiet", "--disable-pip-version-check", requirement]
    subprocess.run(pip, check=True, capture_output=True, timeout=300)
    return programs


def letters(index: int) -> str:
    """A word for a number: 0 is `aaa`."""
    return "".join("abcdefghij"[int(digit)] for digit in f"{index:03}")
