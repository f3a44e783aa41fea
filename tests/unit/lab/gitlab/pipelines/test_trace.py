"""Job logs on disk."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from infra.lab.gitlab.pipelines.trace import RangeMismatchError, TraceStore, TraceTooLargeError


def test_append_and_checksum(tmp_path: Path) -> None:
    store = TraceStore(root=tmp_path)
    assert store.append(1, 0, b"ab") == 2
    assert store.append(1, 2, b"c") == 3
    assert (store.read(1), store.size(1)) == (b"abc", 3)
    assert store.checksum(1) == f"crc32:{zlib.crc32(b'abc'):08x}"
    assert (store.read(2), store.size(2), store.checksum(2)) == (b"", 0, "crc32:00000000")
    store.seal(1)
    store.delete(1)
    store.delete(1)
    assert store.size(1) == 0


@pytest.mark.parametrize("start", [0, 1, 3], ids=["again", "overlap", "gap"])
def test_wrong_start(tmp_path: Path, start: int) -> None:
    store = TraceStore(root=tmp_path)
    store.append(1, 0, b"ab")
    with pytest.raises(RangeMismatchError) as error:
        store.append(1, start, b"x")
    assert error.value.size == 2
    assert store.read(1) == b"ab"


def test_limit(tmp_path: Path) -> None:
    store = TraceStore(root=tmp_path, limit=3)
    store.append(1, 0, b"abc")
    with pytest.raises(TraceTooLargeError):
        store.append(1, 3, b"d")
    assert store.size(1) == 3
