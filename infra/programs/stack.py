"""A stack as this project has them: a name, a program with its inputs, and its place in the order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from infra.core.document import write_text
from infra.core.settings import ROOT
from infra.programs.gate import OPEN, Gates

PROJECT = "forgeline"

_SOURCES = ("infra/provider", "infra/components", "infra/programs", "infra/clients")


class Layer(IntEnum):
    """Stacks are brought up in this order and destroyed against it."""

    FOUNDATION = 0
    PLATFORM = 1
    SERVICE = 2


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One stack. `program` declares its resources; `inputs` is all that what it declares depends on."""

    name: str
    layer: Layer
    inputs: Any
    program: Callable[[Gates], None]
    waits_for: str | None = None
    """The gate before which there is nothing to do."""
    gates: Gates = field(default=OPEN, compare=False)

    @property
    def digest(self) -> str:
        """Of the inputs and of the code that turns them into resources: equal means nothing to change."""
        inputs = TypeAdapter(type(self.inputs)).dump_python(self.inputs, mode="json")
        text = json.dumps([self.name, inputs, code_digest()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@cache
def code_digest() -> str:
    """Of the sources of provider, components, programs and clients."""
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for file in sorted((ROOT / folder).rglob("*.py")):
            digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


class Ledger:
    """Remembers with which digest each stack was last brought up in full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, stack: Stack) -> bool:
        """Whether the stack was brought up with exactly these inputs, and nothing was begun since."""
        try:
            return self._file(stack.name).read_text() == stack.digest
        except OSError:
            return False

    def begin(self, name: str) -> None:
        """From now on the stack is not known to be complete."""
        self._file(name).unlink(missing_ok=True)

    def complete(self, stack: Stack) -> None:
        """The stack is as its inputs say."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._file(stack.name)
        write_text(file, stack.digest)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.digest"
