"""Whether there is room on a disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from infra.operations.check import Check, Verdict, fine

GIB = 2**30


def disk(place: Path, wanted: int, *, fix: str) -> Check:
    """The check of the disk that `place` is on, which wants so many free bytes."""
    free = shutil.disk_usage(place).free
    found = f"{free / GIB:.1f} GiB free at {place}"
    if free >= wanted:
        return fine("disk", found)
    return Check(name="disk", verdict=Verdict.MISSING, found=f"{found}; {wanted / GIB:.0f} GiB are needed", fix=fix)
