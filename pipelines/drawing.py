"""Drawings of a job graph: as text, as a Mermaid flowchart, and as SVG. The same graph is always the same drawing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from pipelines.graph import Edge, Graph
from pipelines.language.model import JobSpec, When

_WIDTH: Final = 168
_HEIGHT: Final = 30
_GAP_X: Final = 56
_GAP_Y: Final = 16
_TOP: Final = 44
_MARGIN: Final = 16
_NAME_LIMIT: Final = 22
_COLOURS: Final = {"manual": "#fff3cd", "deploy": "#d8ecff", "job": "#f4f4f4"}


def as_text(graph: Graph) -> str:
    """One line a job, under its stage, with what it waits for."""
    lines: list[str] = []
    for stage, jobs in graph.in_stages():
        lines.append(stage)
        for job in jobs:
            lines.append(f"  {job.name}{_marks(job)}{_after(job)}")
    return "\n".join(lines) + "\n"


def as_mermaid(graph: Graph) -> str:
    """A Mermaid flowchart, which GitLab shows in Markdown."""
    ids = {name: f"j{index}" for index, name in enumerate(graph.jobs)}
    lines = ["flowchart LR"]
    for index, (stage, jobs) in enumerate(graph.in_stages()):
        lines.append(f'  subgraph s{index}["{_quoted(stage)}"]')
        for job in jobs:
            label = _quoted(job.name + _marks(job))
            lines.append(
                f'    {ids[job.name]}(["{label}"])' if job.when is When.MANUAL else f'    {ids[job.name]}["{label}"]'
            )
        lines.append("  end")
    for edge in graph.drawn_edges():
        arrow = "-.->" if edge.optional else "-->"
        lines.append(f"  {ids[edge.before]} {arrow} {ids[edge.after]}")
    return "\n".join(lines) + "\n"


def as_svg(graph: Graph) -> str:
    """A picture: a column a stage, a box a job, a line for what it waits for (dashed where the need is optional)."""
    places: dict[str, tuple[int, int]] = {}
    columns = list(graph.in_stages())
    for column, (_, jobs) in enumerate(columns):
        for row, job in enumerate(jobs):
            places[job.name] = (_MARGIN + column * (_WIDTH + _GAP_X), _TOP + row * (_HEIGHT + _GAP_Y))
    width = 2 * _MARGIN + max(len(columns), 1) * (_WIDTH + _GAP_X) - _GAP_X
    height = _TOP + max((len(jobs) for _, jobs in columns), default=1) * (_HEIGHT + _GAP_Y) + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        "<title>Job graph</title>",
        *(_heading(column, stage) for column, (stage, _) in enumerate(columns)),
        *(_line(edge, places) for edge in graph.drawn_edges()),
        *(part for job in graph.jobs.values() for part in _box(job, *places[job.name])),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _heading(column: int, stage: str) -> str:
    x = _MARGIN + column * (_WIDTH + _GAP_X)
    return f'<text x="{x}" y="28" font-weight="bold">{escape(_short(stage))}</text>'


def _line(edge: Edge, places: dict[str, tuple[int, int]]) -> str:
    (x1, y1), (x2, y2) = places[edge.before], places[edge.after]
    start, end = (x1 + _WIDTH, y1 + _HEIGHT // 2), (x2, y2 + _HEIGHT // 2)
    bend = _GAP_X // 2 if x2 > x1 else _GAP_X
    dashes = ' stroke-dasharray="4 3"' if edge.optional else ""
    curve = f"M{start[0]} {start[1]}C{start[0] + bend} {start[1]} {end[0] - bend} {end[1]} {end[0]} {end[1]}"
    return f'<path d="{curve}" fill="none" stroke="#8a8a8a"{dashes}/>'


def _box(job: JobSpec, x: int, y: int) -> Iterator[str]:
    kind = "manual" if job.when is When.MANUAL else "deploy" if job.environment else "job"
    yield (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{_COLOURS[kind]}" stroke="#555">'
        f"<title>{escape(job.name + _marks(job))}</title></rect>"
    )
    sign = "&#9654; " if job.when is When.MANUAL else ""
    yield f'<text x="{x + 10}" y="{y + 20}">{sign}{escape(_short(job.name))}</text>'


def _marks(job: JobSpec) -> str:
    marks = [] if job.when is When.ON_SUCCESS else [str(job.when)]
    marks += ["may fail"] if job.allow_failure else []
    marks += [f"environment {job.environment.name}"] if job.environment else []
    return f" ({', '.join(marks)})" if marks else ""


def _after(job: JobSpec) -> str:
    if job.needs is None:
        return "  after all earlier stages"
    if not job.needs:
        return "  at once"
    return "  after " + ", ".join(f"{need.name}?" if need.optional else need.name for need in job.needs)


def _short(text: str) -> str:
    return text if len(text) <= _NAME_LIMIT else text[: _NAME_LIMIT - 1] + "…"


def _quoted(text: str) -> str:
    """`text` inside a Mermaid label."""
    return text.replace("#", "#35;").replace('"', "#quot;").replace("\n", " ")
