from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.core.error import ToolError
from infra.images.entry import Entry, folder, link, text
from infra.images.layer import Layer, Layers, Made, write

ENTRIES = [text("opt/a", "1"), folder("srv/x", mode=0o750, owner=10_001), link("opt/b", "a")]


def archived(entries: list[Entry]) -> bytes:
    out = io.BytesIO()
    write(entries, out)
    return out.getvalue()


def make(layers: Layers, entries: list[Entry], *, key: str = "k" * 16, anew: bool = False) -> Layer:
    return layers.make("one", key, anew=anew, waiting=lambda: None, fill=lambda _: (entries, Made(time=7)))


def test_the_order_in_which_entries_come_does_not_matter() -> None:
    assert archived(ENTRIES) == archived(ENTRIES[::-1])


def test_other_content_is_another_archive() -> None:
    assert archived(ENTRIES) != archived([*ENTRIES[1:], text("opt/a", "2")])


def test_a_layer_is_made_once(tmp_path: Path) -> None:
    layers = Layers(tmp_path)
    assert layers.find("one", "k" * 16) is None
    made = make(layers, ENTRIES)
    assert made.digest == f"sha256:{hashlib.sha256(archived(ENTRIES)).hexdigest()}"
    assert made.size == len(archived(ENTRIES))
    assert made.made.time == 7
    assert make(layers, []) == made
    assert layers.find("one", "k" * 16) == made
    assert layers.find("one", "l" * 16) is None


def test_a_layer_is_made_anew_when_that_is_asked(tmp_path: Path) -> None:
    layers = Layers(tmp_path)
    assert make(layers, ENTRIES) != make(layers, ENTRIES[:1], anew=True)
    assert layers.find("one", "k" * 16) == make(layers, [])


def test_a_layer_that_fails_half_way_is_not_there_and_leaves_nothing(tmp_path: Path) -> None:
    def half() -> Iterator[Entry]:
        yield text("opt/a", "1")
        raise ToolError("the mirror went away")

    layers = Layers(tmp_path)
    with pytest.raises(ToolError, match="went away"):
        layers.make("one", "k" * 16, anew=False, waiting=lambda: None, fill=lambda _: (half(), Made()))
    assert layers.find("one", "k" * 16) is None
    assert [path.name for path in (tmp_path / "one").iterdir()] == [".lock"]


def test_a_damaged_layer_is_not_used(tmp_path: Path) -> None:
    layers = Layers(tmp_path)
    made = make(layers, ENTRIES)
    made.archive.write_bytes(made.archive.read_bytes()[:-512])
    assert layers.find("one", "k" * 16) is None
    assert make(layers, ENTRIES).digest == made.digest
