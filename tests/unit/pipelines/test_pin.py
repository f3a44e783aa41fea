"""A pin is changed in its file, and nothing else in it."""

from __future__ import annotations

import pytest

from infra.core.error import BadInputError
from pipelines.catalogue import CATALOG, RELEASE
from pipelines.pin import repin, reversion

BODY = """\
name: quotes  # the name
# Why it is here.
description: "pipeline: v1.0.0"
language: go
language_version: "1.26"
tier: core
owners: [market]
port: 8101
"""


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("pipeline: v1.0.0\n", "pipeline: v1.2.0\n"),
        ("pipeline:   v1.0.0   # since March\n", "pipeline:   v1.2.0   # since March\n"),
        ("pipeline: 'v1.0.0'\n", "pipeline: 'v1.2.0'\n"),
        ('"pipeline": "v1.0.0"\r\n', '"pipeline": "v1.2.0"\r\n'),
        ("pipeline: v1.0.0", "pipeline: v1.2.0"),
        ("pipeline: v1.2.0\n", "pipeline: v1.2.0\n"),
    ],
    ids=["plain", "comment", "quoted", "key quoted, carriage return", "last line without an end", "the same"],
)
def test_only_the_pin_changes(line: str, changed: str) -> None:
    assert repin(BODY + line, "v1.2.0", "quotes.yaml") == BODY + changed


def test_a_flow_mapping_is_changed_too() -> None:
    text = (
        "{name: quotes, description: d, language: go, language_version: '1.26', tier: core, owners: [a], port: 8101, "
        "pipeline: v1.0.0, canary: true}\n"
    )
    assert repin(text, "v1.10.0", "quotes.yaml") == text.replace("v1.0.0", "v1.10.0")


@pytest.mark.parametrize("line", ["pipeline:\n  v1.0.0\n", "? pipeline\n: v1.0.0\n", "pipeline: >-\n  v1.0.0\n"])
def test_what_can_t_be_changed_safely_is_refused_with_its_place(line: str) -> None:
    with pytest.raises(BadInputError, match="can't be changed here") as caught:
        repin(BODY + line, "v1.2.0", "quotes.yaml")
    assert caught.value.where == "quotes.yaml:9"
    assert "pipeline: v1.2.0" in caught.value.fix


def test_an_anchor_that_is_used_elsewhere_is_not_changed() -> None:
    text = BODY.replace('"pipeline: v1.0.0"', "&a v1.0.0") + "pipeline: *a\n"
    with pytest.raises(BadInputError):
        repin(text, "v1.2.0", "quotes.yaml")


@pytest.mark.parametrize("file", sorted(CATALOG.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_catalogue_s_own_files_can_be_moved_and_moved_back(file: object) -> None:
    text = CATALOG.joinpath(str(file)).read_text(encoding="utf-8")
    moved = repin(text, "v1.11.0", str(file))
    assert moved == text.replace("pipeline: v1.0.0", "pipeline: v1.11.0")
    assert repin(moved, "v1.0.0", str(file)) == text


def test_only_the_version_of_the_release_changes() -> None:
    text = RELEASE.read_text()
    changed = reversion(text, "v9.8.7", "release.yaml")
    assert changed.replace("version: v9.8.7", "version: v1.0.0") == text != changed


def test_a_version_that_can_t_be_changed_in_its_line_is_told() -> None:
    with pytest.raises(BadInputError, match="the version can't be changed here") as caught:
        reversion("version: >-\n  v1.0.0\n", "v1.0.1", "release.yaml")
    assert (caught.value.where, caught.value.fix) == ("release.yaml:1", "write `version: v1.0.1` in a line")
