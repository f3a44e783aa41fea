from __future__ import annotations

import pytest
import requests
from docker.errors import APIError, ImageLoadError

from infra.clients.container_engine import explain

FULL = "write /usr/bin/perl: no space left on device"


@pytest.mark.parametrize(
    ("error", "what", "fix"),
    [
        (APIError("500", explanation=FULL), "refused: write", "docker system df"),
        (ImageLoadError(FULL), "failed: write", "docker system df"),
        (APIError("409", explanation="something else"), "refused: something else", "forgeline status"),
        (requests.ConnectionError("broken pipe"), "went away", "do the same again"),
    ],
    ids=["a request", "an image", "unknown", "the connection"],
)
def test_what_the_engine_says_becomes_an_error_with_a_remedy(error: Exception, what: str, fix: str) -> None:
    made = explain(error, "forgeline/x:1")  # type: ignore[arg-type]
    assert what in made.what
    assert fix in made.fix
    assert made.where == "forgeline/x:1"
