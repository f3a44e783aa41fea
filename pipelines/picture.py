"""A job graph as an SVG picture: from left to right by what waits for what, no line through a box.

The layout is the layered one of Sugiyama, Tagawa and Toda (1981): jobs in layers by their longest way from the start,
lines that skip layers keep a row of their own in each, and rows are ordered by the mean of their neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from pipelines.drawing import marks
from pipelines.graph import Edge, Graph
from pipelines.language.model import JobSpec, When

_WIDTH: Final = 172
_HEIGHT: Final = 44
_GAP_X: Final = 52
_GAP_Y: Final = 14
_MARGIN: Final = 16
_NAME_LIMIT: Final = 23
_SWEEPS: Final = 8
_COLOURS: Final = {"manual": "#fff3cd", "deploy": "#d8ecff", "job": "#f4f4f4"}

Place = tuple[int, str]
"""A layer, and the job or the line that has a row in it."""


def as_svg(graph: Graph) -> str:
    """A box a job with its stage, a line for what it waits for (dashed where the need is optional)."""
    layout = _layout(graph)
    rows = max((len(layer) for layer in layout.layers), default=1)
    width = 2 * _MARGIN + max(len(layout.layers), 1) * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + rows * (_HEIGHT + _GAP_Y) - _GAP_Y
    corners = {
        (column, name): (
            _MARGIN + column * (_WIDTH + _GAP_X),
            _MARGIN + row * (_HEIGHT + _GAP_Y) + (rows - len(layer)) * (_HEIGHT + _GAP_Y) // 2,
        )
        for column, layer in enumerate(layout.layers)
        for row, name in enumerate(layer)
    }
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" font-family="sans-serif" font-size="12">',
        "<title>Job graph</title>",
        *(_line(edge, [corners[place] for place in way]) for edge, way in layout.ways),
        *(part for name, job in graph.jobs.items() for part in _box(job, *corners[layout.depth[name], name])),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Who has which row in which layer, and through which places each line goes."""

    depth: Mapping[str, int]
    layers: Sequence[Sequence[str]]
    ways: Sequence[tuple[Edge, Sequence[Place]]]


def _layout(graph: Graph) -> _Layout:
    edges = _needed(graph)
    before: dict[str, list[str]] = {name: [] for name in graph.jobs}
    for edge in edges:
        before[edge.after].append(edge.before)
    depth: dict[str, int] = {}
    for name in graph.in_order():
        depth[name] = max((depth[other] + 1 for other in before[name]), default=0)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in graph.jobs:
        layers[depth[name]].append(name)
    ways: list[tuple[Edge, list[Place]]] = []
    for number, edge in enumerate(edges):
        first, last = depth[edge.before], depth[edge.after]
        between = [(layer, f"\0{number}") for layer in range(first + 1, last)]
        for layer, line in between:
            layers[layer].append(line)
        ways.append((edge, [(first, edge.before), *between, (last, edge.after)]))
    _order(layers, [pair for _, way in ways for pair in pairwise(way)])
    return _Layout(depth=depth, layers=layers, ways=ways)


def _needed(graph: Graph) -> list[Edge]:
    """The edges without those that say what others say already: of a way over another job, only its steps."""
    into: dict[str, list[Edge]] = {name: [] for name in graph.jobs}
    for edge in graph.drawn_edges():
        into[edge.after].append(edge)
    above: dict[str, frozenset[str]] = {}
    for name in graph.in_order():
        above[name] = frozenset().union(*({edge.before} | above[edge.before] for edge in into[name]))
    return [
        edge
        for name in graph.jobs
        for edge in into[name]
        if not any(edge.before in above[other.before] for other in into[name])
    ]


def _order(layers: list[list[str]], steps: Iterable[tuple[Place, Place]]) -> None:
    """Puts each layer's rows near those that they are joined to, from the left and from the right in turn."""
    left: dict[Place, list[str]] = {}
    right: dict[Place, list[str]] = {}
    for (layer, before), (next_layer, after) in steps:
        right.setdefault((layer, before), []).append(after)
        left.setdefault((next_layer, after), []).append(before)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        order = range(1, len(layers)) if forwards else range(len(layers) - 2, -1, -1)
        for layer in order:
            beside, joined = (layers[layer - 1], left) if forwards else (layers[layer + 1], right)
            # Layers are centred: rows count from their middle.
            row = {name: index - (len(beside) - 1) / 2 for index, name in enumerate(beside)}
            mean: dict[str, float] = {}
            for index, name in enumerate(layers[layer]):
                rows = [row[other] for other in joined.get((layer, name), ())]
                mean[name] = sum(rows) / len(rows) if rows else index - (len(layers[layer]) - 1) / 2
            layers[layer].sort(key=mean.__getitem__)


def _line(edge: Edge, corners: Sequence[tuple[int, int]]) -> str:
    """From box to box; through a layer that it only passes, straight on at its row."""
    x, y = corners[0][0] + _WIDTH, corners[0][1] + _HEIGHT // 2
    curve = f"M{x} {y}"
    for left, top in corners[1:]:
        middle, half = top + _HEIGHT // 2, _GAP_X // 2
        curve += f"C{x + half} {y} {left - half} {middle} {left} {middle}"
        x, y = left, middle
        if (left, top) != corners[-1]:
            x += _WIDTH
            curve += f"H{x}"
    dashes = ' stroke-dasharray="4 3"' if edge.optional else ""
    return f'<path d="{curve}" fill="none" stroke="#8a8a8a"{dashes}/>'


def _box(job: JobSpec, x: int, y: int) -> Iterable[str]:
    kind = "manual" if job.when is When.MANUAL else "deploy" if job.environment else "job"
    yield (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{_COLOURS[kind]}" stroke="#555">'
        f"<title>{escape(job.name + marks(job))}</title></rect>"
    )
    sign = "&#9654; " if job.when is When.MANUAL else ""
    yield f'<text x="{x + 10}" y="{y + 19}">{sign}{escape(_short(job.name))}</text>'
    yield f'<text x="{x + 10}" y="{y + 35}" font-size="10" fill="#555">{escape(_short(job.stage))}</text>'


def _short(text: str) -> str:
    return text if len(text) <= _NAME_LIMIT else text[: _NAME_LIMIT - 1] + "…"
