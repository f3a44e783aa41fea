"""The bootstrap key is made once, whole and private."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.clients.bootstrap import KEY_BYTES, derive, ensure_key, random_secret, read_key
from infra.core.error import BadInputError


def test_the_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "state" / "bootstrap.key"
    assert ensure_key(path) is True
    first = read_key(path)
    assert ensure_key(path) is False
    assert read_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["bootstrap.key"]


def test_of_many_at_once_one_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "bootstrap.key"
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda _: ensure_key(path), range(64)))
    assert made.count(True) == 1
    assert len(read_key(path)) == KEY_BYTES
    assert [file.name for file in tmp_path.iterdir()] == ["bootstrap.key"]


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        pytest.param(b"x" * 31, 0o600, "31 bytes", id="cut-short"),
        pytest.param(b"", 0o600, "0 bytes", id="empty"),
        pytest.param(b"x" * 32, 0o640, "others may read", id="readable-by-the-group"),
    ],
)
def test_a_damaged_key_is_told(tmp_path: Path, content: bytes, mode: int, message: str) -> None:
    path = tmp_path / "bootstrap.key"
    path.write_bytes(content)
    path.chmod(mode)
    for use in (read_key, ensure_key):
        with pytest.raises(BadInputError, match=message):
            use(path)
    assert path.read_bytes() == content


def test_no_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="can't be read"):
        read_key(tmp_path / "bootstrap.key")


def test_what_is_derived_depends_on_key_and_purpose() -> None:
    key = b"k" * KEY_BYTES
    assert derive(key, "a") == derive(key, "a")
    assert len({derive(key, "a"), derive(key, "b"), derive(b"l" * KEY_BYTES, "a")}) == 3
    assert "a" not in repr(derive(key, "a")).removeprefix("SecretValue")


def test_random_secrets_differ() -> None:
    assert len({random_secret() for _ in range(100)}) == 100
    assert random_secret().isalnum()
