"""What surely precedes a job, and how graphs are drawn."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from pipelines.context import Occasion
from pipelines.drawing import as_mermaid, as_text
from pipelines.graph import Graph
from pipelines.picture import as_svg
from pipelines.subject import Subject

STAGES = "stages: [one, two, three]\n"


def graph(text: str) -> Graph:
    return Subject(file="x.yml", text=STAGES + text).graphs[Occasion.MAIN]


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("a: {stage: one, script: x}\nz: {stage: two, script: x}", {"a"}),
        ("a: {stage: one, script: x}\nz: {stage: two, script: x, needs: []}", set()),
        (
            "a: {stage: one, script: x}\nb: {stage: two, script: x}\nz: {stage: three, script: x, needs: [b]}",
            {"a", "b"},
        ),
        ("a: {stage: one, script: x}\nz: {stage: two, script: x, needs: [{job: a, optional: true}]}", set()),
        ("a: {stage: one, script: x, allow_failure: true}\nz: {stage: two, script: x, needs: [a]}", set()),
        ("a: {stage: one, script: x, allow_failure: {exit_codes: 3}}\nz: {stage: two, script: x}", set()),
        ("a: {stage: one, script: x, when: manual}\nz: {stage: two, script: x}", set()),
        ("a: {stage: one, script: x, when: manual, allow_failure: false}\nz: {stage: two, script: x}", {"a"}),
        ("a: {stage: one, script: x, when: on_failure}\nz: {stage: two, script: x}", set()),
        ("a: {stage: one, script: x}\nz: {stage: two, script: x, when: always}", set()),
        ("a: {stage: one, script: x}\nz: {stage: two, script: x, when: on_failure}", set()),
        (
            "a: {stage: one, script: x}\nb: {stage: two, script: x, needs: [a], allow_failure: true}\n"
            "z: {stage: three, script: x, needs: [b]}",
            {"a"},
        ),
        (
            "a: {stage: one, script: x}\nb: {stage: two, script: x, needs: [a], when: always}\n"
            "z: {stage: three, script: x, needs: [b]}",
            {"b"},
        ),
    ],
)
def test_before(text: str, before: set[str]) -> None:
    made = graph(text)
    assert made.before("z") == before
    assert all(made.passes("z", name) for name in before)
    assert not made.passes("z", "z")


def test_a_way_around_a_gate() -> None:
    text = "a: {stage: one, script: x}\ngate: {stage: two, script: x, needs: [a]}\n"
    made = graph(f"{text}b: {{stage: two, script: x, needs: [a]}}\nz: {{stage: three, script: x, needs: [b]}}")
    assert made.way_around("z", "gate") == ("a", "b", "z")


DRAWN = """\
a<b: {stage: one, script: x}
'say "#1"': {stage: two, script: x, when: manual}
z: {stage: three, script: x, needs: [a<b]}
"""


def test_a_drawing_is_always_the_same() -> None:
    assert [as_text(graph(DRAWN)), as_mermaid(graph(DRAWN)), as_svg(graph(DRAWN))] == [
        as_text(graph(DRAWN)),
        as_mermaid(graph(DRAWN)),
        as_svg(graph(DRAWN)),
    ]


def test_text_says_what_is_waited_for() -> None:
    lines = as_text(graph(DRAWN)).splitlines()
    assert lines[:2] == ["one", "  a<b  after all earlier stages"]
    assert "  z  after a<b" in lines
    assert '  say "#1" (manual, may fail)  after all earlier stages' in lines


def test_mermaid_quotes_names() -> None:
    text = as_mermaid(graph(DRAWN))
    assert text.startswith("flowchart LR\n")
    assert '"say #quot;#35;1#quot; (manual, may fail)"' in text
    assert "j0 --> j1" in text
    assert "j0 --> j2" in text


def test_svg_is_well_formed_and_has_a_box_for_each_job() -> None:
    root = ElementTree.fromstring(as_svg(graph(DRAWN)))
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}rect")) == 3
    assert len(root.findall(f"{space}path")) == 2
    assert "a<b" in "".join(root.itertext())


LONG = """\
a: {stage: one, script: x}
b: {stage: two, script: x, needs: [a]}
c: {stage: two, script: x, needs: [b]}
d: {stage: three, script: x, needs: [a, c]}
e: {stage: three, script: x, needs: [a]}
f: {stage: three, script: x, needs: [c, e]}
"""


def test_svg_draws_no_line_through_a_box_and_none_that_others_imply() -> None:
    root = ElementTree.fromstring(as_svg(graph(LONG)))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [tuple(int(box.attrib[key]) for key in ("x", "y", "width", "height")) for box in root.iter(f"{space}rect")]
    paths = [path.attrib["d"] for path in root.iter(f"{space}path")]
    # a-b, b-c, c-d, a-e, c-f, e-f: that d waits for a follows from b and c.
    assert len(paths) == 6
    level = [
        (int(start), int(y), int(end)) for path in paths for start, y, end in re.findall(r"(\d+) (\d+)H(\d+)", path)
    ]
    assert level, "the line from e to f goes through a layer"
    for start, y, end in level:
        assert not [box for box in boxes if box[0] < end and start < box[0] + box[2] and box[1] <= y <= box[1] + box[3]]


def test_many_jobs_are_no_problem() -> None:
    jobs = "\n".join(f"j{n}: {{stage: one, script: x, needs: [{f'j{n - 1}' if n else ''}]}}" for n in range(2000))
    assert len(graph(jobs).before("j1999")) == 1999
