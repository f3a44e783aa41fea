"""Job logs: one append-only file a job, written by the offsets that the runner names.

A file survives a killed process as far as the kernel took the bytes; its length is the truth that the runner resumes
from.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LIMIT_BYTES = 100 * 1024 * 1024  # GitLab's plan limit ci_jobs_trace_size_limit
_BLOCK = 64 * 1024


class RangeMismatchError(Exception):
    """The chunk does not start where the log ends; `size` is where it ends."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the log ends at {size}")
        self.size = size


class TraceTooLargeError(Exception):
    """The log would grow past its limit."""


@dataclass(frozen=True, kw_only=True)
class TraceStore:
    """The logs under `root`, at most `limit` bytes each."""

    root: Path
    limit: int = LIMIT_BYTES

    def path(self, job_id: int) -> Path:
        """Where the log of a job is; the file may not exist."""
        return self.root / f"{job_id // 1000:06d}" / f"{job_id}.log"

    def size(self, job_id: int) -> int:
        """The log's length in bytes; 0 when there is none."""
        try:
            return self.path(job_id).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, job_id: int, start: int, chunk: bytes) -> int:
        """Adds `chunk` at `start` and returns the new size in bytes.

        Raises RangeMismatchError when the log does not end at `start`, TraceTooLargeError past the limit; then nothing
        is written.
        """
        with self._locked(job_id) as descriptor:
            size = os.fstat(descriptor).st_size
            if start != size:
                raise RangeMismatchError(size)
            if size + len(chunk) > self.limit:
                raise TraceTooLargeError
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
            return size + len(chunk)

    def append_line(self, job_id: int, line: str) -> None:
        """Adds a line of the server's own, such as why it failed the job."""
        with self._locked(job_id) as descriptor:
            os.write(descriptor, f"{line}\n".encode())

    def read(self, job_id: int) -> bytes:
        """The whole log."""
        try:
            return self.path(job_id).read_bytes()
        except FileNotFoundError:
            return b""

    def checksum(self, job_id: int) -> str:
        """The log's CRC-32 as runners write it: `crc32:%08x`."""
        crc = 0
        if self.path(job_id).exists():
            with self.path(job_id).open("rb") as stream:
                while block := stream.read(_BLOCK):
                    crc = zlib.crc32(block, crc)
        return f"crc32:{crc:08x}"

    def seal(self, job_id: int) -> None:
        """Makes the log safe against a power cut; called when the job ends."""
        if self.path(job_id).exists():
            with self.path(job_id).open("rb") as stream:
                os.fsync(stream.fileno())

    def delete(self, job_id: int) -> None:
        """Removes the log; fine when there is none."""
        self.path(job_id).unlink(missing_ok=True)

    @contextmanager
    def _locked(self, job_id: int) -> Iterator[int]:
        path = self.path(job_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)
