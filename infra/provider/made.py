"""What Forgeline made on servers that others run: the record by which it tells its own from what was there before.

The engine writes its state at an update's end, so a killed run would not know its own things again. Here each is noted,
on disk for good, before it is made.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, Final

from infra.provider.gitlab.project import PROJECT

FILE: Final = "made.jsonl"


class Made:
    """The types and ids of what was made, a line each in `file`. Safe to use from several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], None] = {}
        for line in _lines(file):
            entry = (line["type"], line["id"])
            if line["made"]:
                self._made[entry] = None
            else:
                self._made.pop(entry, None)

    def holds(self, type_name: str, identity: str) -> bool:
        """Whether it was made by Forgeline, or was about to be."""
        return (type_name, identity) in self._made

    def covers(self, type_name: str, identity: str) -> bool:
        """Whether it was made, or is part of a project that was: GitLab itself protects a new project's branch."""
        return self.holds(type_name, identity) or self.holds(PROJECT.type_name, identity.partition(":")[0])

    def add(self, type_name: str, identity: str) -> None:
        """Notes that it is made now. On disk for good when this returns."""
        with self._lock:
            if not self.holds(type_name, identity):
                self._write(type_name, identity, made=True)
                self._made[type_name, identity] = None

    def remove(self, type_name: str, identity: str) -> None:
        """Notes that it is gone."""
        with self._lock:
            if self.holds(type_name, identity):
                self._write(type_name, identity, made=False)
                del self._made[type_name, identity]

    def _write(self, type_name: str, identity: str, *, made: bool) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        line = json.dumps({"type": type_name, "id": identity, "made": made})
        with self._file.open("a", encoding="utf-8") as file:
            # After a line that a kill cut, a new one begins; an empty one means nothing.
            file.write(f"\n{line}\n")
            file.flush()
            os.fsync(file.fileno())


def _lines(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    # A kill may cut a line: of what was not made yet, for it is made when the line is on disk.
    return [json.loads(line) for line in text.split("\n") if line.startswith("{") and line.endswith("}")]
