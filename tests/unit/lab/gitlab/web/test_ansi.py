"""Logs as HTML."""

from __future__ import annotations

import pytest

from infra.lab.gitlab.web.ansi import strip, to_html


@pytest.mark.parametrize(
    ("log", "html"),
    [
        ("plain", "plain\n"),
        ("<b>&", "&lt;b&gt;&amp;\n"),
        ("\x1b[31mred\x1b[0m x", '<span class="fg-red">red</span> x\n'),
        ("\x1b[1;32mok\x1b[0;m", '<span class="bold fg-green">ok</span>\n'),
        ("\x1b[38;5;9mx\x1b[4my", 'x<span class="underline">y</span>\n'),
        ("10%\r50%\r100%", "100%\n"),
        ("\x1b[0Kline", "line\n"),
        ("a\x00\x07b", "ab\n"),
    ],
    ids=["plain", "escaped", "colour", "bold", "256-colours", "progress", "erase", "control"],
)
def test_lines(log: str, html: str) -> None:
    assert to_html(log) == html


def test_sections() -> None:
    log = "section_start:10:get_sources[collapsed=true]\r\x1b[0KGetting\nwork\nsection_end:75:get_sources\r\x1b[0Kdone"
    html = to_html(log)
    assert html.startswith('<details class="section"><summary>get sources</summary>Getting\n')
    assert '<span class="duration">01:05</span></details>done' in html
    assert strip(log) == "Getting\nwork\ndone"


def test_open_sections_are_closed() -> None:
    assert to_html("section_start:1:a\r\x1b[0Kx").count("</details>") == 1
    assert "</details>" not in to_html("section_end:1:never_opened\r\x1b[0K")


def test_hostile_text_stays_text() -> None:
    html = to_html('section_start:1:a"><script>\r\x1b[0K<script>alert(1)</script>\x1b[31m<img onerror=x>')
    assert "<script>" not in html
    assert "<img" not in html
