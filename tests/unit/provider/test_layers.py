"""How far a pull is, told by what an engine says while it pulls (recorded from Docker Engine 20.10)."""

from __future__ import annotations

from typing import Any

import pytest

from infra.provider.docker.image import Layers

LINES: list[dict[str, Any]] = [
    {"status": "Pulling from caddy", "id": "sha256:bfbf"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "aa"},
    {"status": "Already exists", "progressDetail": {}, "id": "bb"},
    {"status": "Downloading", "progressDetail": {"current": 5_000_000, "total": 20_000_000}, "id": "aa"},
    {"status": "Downloading", "progressDetail": {"current": 15_000_000, "total": 20_000_000}, "id": "aa"},
    {"status": "Verifying Checksum", "progressDetail": {}, "id": "aa"},
    {"status": "Download complete", "progressDetail": {}, "id": "aa"},
    {"status": "Extracting", "progressDetail": {"current": 32_768, "total": 20_000_000}, "id": "aa"},
    {"status": "Pull complete", "progressDetail": {}, "id": "aa"},
    {"status": "Digest: sha256:bfbf"},
]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (3, "0 of 0 MB, 1 of 2 layers unpacked"),
        (5, "15 of 20 MB, 1 of 2 layers unpacked"),
        (8, "20 of 20 MB, 1 of 2 layers unpacked"),
        (10, "20 of 20 MB, 2 of 2 layers unpacked"),
    ],
    ids=["begun", "under way", "all here", "unpacked"],
)
def test_bytes_and_layers_are_counted(lines: int, told: str) -> None:
    layers = Layers()
    for line in LINES[:lines]:
        layers.tell(line)
    assert str(layers) == told


def test_what_is_about_no_layer_is_passed_over() -> None:
    layers = Layers()
    assert [layers.tell(line) for line in (LINES[0], LINES[-1], {"status": None, "id": "aa"})] == [False] * 3
