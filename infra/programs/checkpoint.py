"""The file backend's own files: what a stack's state says, and who holds its lock."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.programs.stack import PROJECT


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A resource as the state has it."""

    urn: str
    type: str
    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class Checkpoints:
    """The states of all stacks, below the backend's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / ".pulumi"

    def file(self, stack: str) -> Path:
        """Where a stack's state is."""
        return self._folder / "stacks" / PROJECT / f"{stack}.json"

    def exists(self, stack: str) -> bool:
        """Whether the stack was made."""
        return self.file(stack).is_file()

    def names(self) -> list[str]:
        """All stacks there are."""
        return sorted(file.stem for file in (self._folder / "stacks" / PROJECT).glob("*.json"))

    def resources(self, stack: str) -> list[Recorded]:
        """The provider's resources in the state, in its order."""
        recorded = self._deployment(stack).get("resources") or []
        return [
            Recorded(
                urn=item["urn"],
                type=item["type"],
                id=item["id"],
                inputs=item.get("inputs") or {},
                outputs=item.get("outputs") or {},
            )
            for item in recorded
            if item["type"].startswith("forgeline:") and item.get("custom") and not item.get("delete")
        ]

    def has_pending(self, stack: str) -> bool:
        """Whether a kill left operations of which nobody knows how they ended."""
        return bool(self._deployment(stack).get("pending_operations"))

    def drop_empty(self, stack: str) -> bool:
        """Removes the state of a stack that has nothing, as a preview leaves it; returns whether it did."""
        deployment = self._deployment(stack)
        kept = deployment.get("resources") or deployment.get("pending_operations")
        if not self.exists(stack) or self._torn(stack) or kept:
            return False
        for file in self.file(stack).parent.glob(f"{stack}.json*"):
            file.unlink(missing_ok=True)
        return True

    def set_aside_torn(self, stack: str, *, patience: float = 3.0) -> bool:
        """Moves a state away that a killed engine left half written; returns whether it did.

        The stack is then made anew, and every `create` adopts what is there. An engine that still writes, whose parent
        was killed, is given `patience` seconds.
        """
        deadline = time.monotonic() + patience
        while (torn := self._torn(stack)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if torn:
            self.file(stack).replace(self.file(stack).with_suffix(".torn"))
        return torn

    def _torn(self, stack: str) -> bool:
        try:
            json.loads(self.file(stack).read_text())
        except FileNotFoundError:
            return False
        except ValueError:
            return True
        return False

    def break_stale_locks(self, stack: str) -> int | None:
        """Removes locks whose process is dead; the pid of a living holder, if there is one."""
        for file in (self._folder / "locks" / "organization" / PROJECT / stack).glob("*.json"):
            pid = _holder(file)
            if pid is not None:
                return pid
            file.unlink(missing_ok=True)
        return None

    def _deployment(self, stack: str) -> dict[str, Any]:
        try:
            document = json.loads(self.file(stack).read_text())
        except (FileNotFoundError, ValueError):
            return {}
        deployment: dict[str, Any] | None = document["checkpoint"].get("latest")
        return deployment or {}


def _holder(file: Path) -> int | None:
    """The pid of the engine that holds the lock, or None where it is dead or is another program by now."""
    try:
        lock = json.loads(file.read_text())
        if lock.get("hostname") not in {None, os.uname().nodename}:
            return int(lock["pid"])
        process = psutil.Process(int(lock["pid"]))
        return process.pid if "pulumi" in process.name() else None
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return None
