"""A state that a kill left half written is set aside, a sound one is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.programs.checkpoint import Checkpoints

SOUND = json.dumps({"version": 3, "checkpoint": {"latest": {"resources": []}}})


@pytest.mark.parametrize(
    ("text", "torn"),
    [
        pytest.param("", True, id="empty"),
        pytest.param(SOUND[:20], True, id="half"),
        pytest.param(SOUND, False, id="sound"),
        pytest.param(None, False, id="no-state"),
    ],
)
def test_a_torn_state_is_set_aside(tmp_path: Path, text: str | None, torn: bool) -> None:
    checkpoints = Checkpoints(tmp_path)
    file = checkpoints.file("platform")
    file.parent.mkdir(parents=True)
    if text is not None:
        file.write_text(text)
    assert checkpoints.resources("platform") == []
    assert checkpoints.has_pending("platform") is False
    assert checkpoints.set_aside_torn("platform", patience=0.2) is torn
    assert checkpoints.exists("platform") is (text == SOUND)
    assert file.with_suffix(".torn").exists() is torn
