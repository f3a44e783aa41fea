"""Files that others may read at any moment, or write at the same time: they are there whole, or not at all."""

from __future__ import annotations

import secrets
from pathlib import Path


def put_text(path: Path, text: str) -> None:
    """Write the text, below folders that are made if need be. Of two that write at once, the last one's text stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
