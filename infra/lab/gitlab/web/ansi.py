"""Job logs for people: ANSI colours and the runner's sections, turned into safe HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape

_SECTION = re.compile(r"section_(start|end):(\d+):([A-Za-z0-9_.-]+)(?:\[([^\]]*)\])?\r?(?:\x1b\[0K)?")
_CONTROL = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]")
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


def strip(text: str) -> str:
    """The log without colours and section markers."""
    return _CONTROL.sub("", _SECTION.sub("", text)).replace("\r\n", "\n")


@dataclass(frozen=True)
class _Style:
    bold: bool = False
    italic: bool = False
    underline: bool = False
    foreground: str = ""
    background: str = ""

    def classes(self) -> str:
        names = [name for name in ("bold", "italic", "underline") if getattr(self, name)]
        if self.foreground:
            names.append(f"fg-{self.foreground}")
        if self.background:
            names.append(f"bg-{self.background}")
        return " ".join(names)


def _applied(style: _Style, codes: str) -> _Style:
    numbers = [int(code or 0) for code in codes.split(";")] if codes else [0]
    index = 0
    while index < len(numbers):
        code = numbers[index]
        if code in {38, 48}:  # 256 colours and true colours are read past, not shown
            index += 3 if numbers[index + 1 : index + 2] == [5] else 5
            continue
        style = _one(style, code)
        index += 1
    return style


def _one(style: _Style, code: int) -> _Style:
    plain: dict[int, dict[str, object]] = {
        1: {"bold": True},
        3: {"italic": True},
        4: {"underline": True},
        22: {"bold": False},
        23: {"italic": False},
        24: {"underline": False},
        39: {"foreground": ""},
        49: {"background": ""},
    }
    if code == 0:
        return _Style()
    if code in plain:
        return replace(style, **plain[code])  # type: ignore[arg-type]
    for base, kind in ((30, "foreground"), (40, "background"), (90, "foreground"), (100, "background")):
        if base <= code < base + 8:
            return replace(style, **{kind: _COLOURS[code - base]})  # type: ignore[arg-type]
    return style


@dataclass
class _Page:
    style: _Style = _Style()
    open_sections: list[tuple[str, int]] = field(default_factory=list)

    def line(self, text: str) -> Iterator[str]:
        position = 0
        shown = False
        for marker in _SECTION.finditer(text):
            before = text[position : marker.start()]
            if before.strip("\r"):
                shown = True
                yield self._text(before)
            position = marker.end()
            if marker[1] == "start":
                yield from self._start(marker)
            else:
                yield from self._end(marker)
        rest = text[position:]
        if rest or (position == 0 and not shown):
            yield self._text(rest) + "\n"

    def _start(self, marker: re.Match[str]) -> Iterator[str]:
        self.open_sections.append((marker[3], int(marker[2])))
        is_open = "" if "collapsed=true" in (marker[4] or "") else " open"
        title = escape(marker[3].replace("_", " "))
        yield f'<details class="section"{is_open}><summary>{title}</summary>'

    def _end(self, marker: re.Match[str]) -> Iterator[str]:
        names = [name for name, _ in self.open_sections]
        if marker[3] not in names:
            return
        while self.open_sections:
            name, started = self.open_sections.pop()
            seconds = max(0, int(marker[2]) - started)
            yield f'<span class="duration">{seconds // 60:02d}:{seconds % 60:02d}</span></details>'
            if name == marker[3]:
                return

    def _text(self, text: str) -> str:
        # A carriage return starts the line again, as on a terminal: progress bars show their last state.
        text = text.rstrip("\r").rpartition("\r")[2]
        parts: list[str] = []
        position = 0
        for control in _CONTROL.finditer(text):
            parts.append(self._span(text[position : control.start()]))
            position = control.end()
            if control[2] == "m":
                self.style = _applied(self.style, control[1])
        parts.append(self._span(text[position:]))
        return "".join(parts)

    def _span(self, text: str) -> str:
        if not text:
            return ""
        classes = self.style.classes()
        return f'<span class="{classes}">{escape(text)}</span>' if classes else escape(text)


def to_html(log: str) -> str:
    """The log as HTML for a `<pre>`: text escaped, colours as classes `fg-…`/`bg-…`, sections as `<details>`."""
    page = _Page()
    parts: list[str] = []
    for line in log.split("\n"):
        parts.extend(page.line(line))
    parts.extend("</details>" for _ in page.open_sections)
    return "".join(parts)
