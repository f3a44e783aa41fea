"""Programs that this machine has already."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.toolchain.command import output_of
from infra.toolchain.pin import SystemPin


@dataclass(frozen=True, kw_only=True)
class SystemProgram:
    """A program on the PATH and its version."""

    path: Path
    version: str


def find_system(pin: SystemPin, environ: Mapping[str, str]) -> SystemProgram | None:
    """The program on the PATH (or under JAVA_HOME) whose version will do, or None."""
    for path in _candidates(pin.command, environ):
        match = re.search(pin.pattern, output_of([str(path), *pin.arguments], environ))
        if match and suits(match[1], pin):
            return SystemProgram(path=path, version=match[1])
    return None


def suits(version: str, pin: SystemPin) -> bool:
    """Whether a version is one that the pin allows."""
    numbers = _numbers(version)
    if not numbers:
        return False
    if pin.majors is not None and numbers[0] not in pin.majors:
        return False
    return pin.minimum is None or numbers >= _numbers(pin.minimum)


def _candidates(command: str, environ: Mapping[str, str]) -> list[Path]:
    found = []
    java_home = environ.get("JAVA_HOME")
    if java_home and command in {"java", "javac"}:
        found.append(Path(java_home) / "bin" / command)
    on_path = shutil.which(command, path=environ.get("PATH", ""))
    if on_path:
        found.append(Path(on_path))
    return [path for path in found if path.is_file()]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
