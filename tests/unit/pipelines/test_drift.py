"""Every way in which a service's pipeline can be other than declared, told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.drift import Observed, PipelineState, judge

BODY = "x: 1\n"
TEMPLATES, OTHER_TEMPLATES, INPUTS, OTHER_INPUTS = "a" * 64, "b" * 64, "c" * 64, "d" * 64
PLACE = "x.yml@platform/pipelines:v1.0.0"


def file(body: str = BODY, templates: str = TEMPLATES, inputs: str = INPUTS) -> str:
    return f"# made\n# templates sha256 {templates}; inputs sha256 {inputs}\n{body}"


CLEAN = Observed(
    service="x",
    pipeline="v1.0.0",
    released=file(),
    expected=file(),
    altered=(),
    pinned=PLACE,
    applied=PLACE,
    actual=PLACE,
)


@pytest.mark.parametrize(
    ("seen", "states"),
    [
        pytest.param(CLEAN, ["clean"], id="clean"),
        pytest.param(replace(CLEAN, expected=file(templates=OTHER_TEMPLATES)), ["clean"], id="same-pipeline"),
        pytest.param(
            replace(CLEAN, expected=file("x: 2\n", inputs=OTHER_INPUTS)), ["catalogue-changed"], id="catalogue"
        ),
        pytest.param(
            replace(CLEAN, expected=file("x: 2\n", templates=OTHER_TEMPLATES)), ["template-newer"], id="templates"
        ),
        pytest.param(
            replace(CLEAN, expected=file("x: 2\n", OTHER_TEMPLATES, OTHER_INPUTS)),
            ["catalogue-changed", "template-newer"],
            id="both",
        ),
        pytest.param(replace(CLEAN, released=file("x: 3\n")), ["released-file-altered"], id="same-header"),
        pytest.param(replace(CLEAN, released="x: 3\n"), ["released-file-altered"], id="no-header"),
        pytest.param(replace(CLEAN, altered=("x.yml is gone",)), ["released-file-altered"], id="against-the-lock"),
        pytest.param(
            replace(CLEAN, released=None, altered=("v1.0.0 is not there",)), ["released-file-altered"], id="tag-gone"
        ),
        pytest.param(replace(CLEAN, actual=".gitlab-ci.yml"), ["setting-altered"], id="setting"),
        pytest.param(replace(CLEAN, actual=None), ["setting-altered"], id="no-project"),
        pytest.param(
            replace(CLEAN, pinned="x.yml@platform/pipelines:v1.1.0"), ["catalogue-changed"], id="pin-not-applied"
        ),
        pytest.param(replace(CLEAN, applied=None), ["clean"], id="state-lost"),
        pytest.param(
            replace(CLEAN, actual="other", expected=file("x: 2\n", templates=OTHER_TEMPLATES)),
            ["setting-altered", "template-newer"],
            id="gravest-first",
        ),
    ],
)
def test_states(seen: Observed, states: list[str]) -> None:
    found = judge(seen)
    assert [str(state) for state in found.states] == states
    assert found.state is PipelineState(states[0])
    assert found.drifted == (states != ["clean"])
    assert len(found.details) == (0 if states == ["clean"] else len(states))


@pytest.mark.parametrize(
    ("change", "drifted"),
    [({"templates": OTHER_TEMPLATES}, False), ({"inputs": OTHER_INPUTS}, True)],
    ids=["templates", "catalogue"],
)
def test_a_held_service_may_be_behind_the_templates_only(change: dict[str, str], drifted: bool) -> None:
    found = judge(replace(CLEAN, hold="audit", expected=file("x: 2\n", **change)))
    assert found.drifted is drifted
    assert found.as_json()["hold"] == "audit"
