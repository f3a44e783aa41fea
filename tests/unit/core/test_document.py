"""Every error of a YAML file comes with its line, column and remedy."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from infra.core.document import SIZE_LIMIT, InvalidDocumentError, load, nearest, parse
from infra.core.error import BadInputError, ExitCode


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colour: str


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int
    inner: Inner
    items: list[int] = []


def findings(text: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(InvalidDocumentError) as caught:
        parse(text, "x.yaml", Outer)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    return [(f.line, f.column, f.message, f.fix) for f in caught.value.findings]


def test_valid_document_becomes_the_model() -> None:
    document = parse("count: 3\ninner: {colour: red}\n", "x.yaml", Outer)
    assert (document.count, document.inner.colour) == (3, "red")


def test_every_error_is_found_at_its_place() -> None:
    found = findings("count: many\ninner:\n  color: red\nitems:\n  - 1\n  - two\n")
    assert (1, 1) in [f[:2] for f in found]
    assert (3, 3, "inner.color: is not a known key", "did you mean 'colour'?") in found
    assert (2, 1, "inner.colour: is missing", "") in found
    assert any(f[:2] == (6, 5) for f in found)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("count: [1\n", 2, id="unclosed-list"),
        pytest.param("a: 1\na: 2\n", 2, id="duplicate-key"),
        pytest.param("- 1\n", 1, id="list"),
        pytest.param("", 1, id="empty"),
        pytest.param("count: 1\n\tinner: x\n", 2, id="tab"),
    ],
)
def test_text_that_is_no_mapping(text: str, line: int) -> None:
    assert findings(text)[0][0] == line


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\xff\xfe", id="not-utf8"),
        pytest.param(b"a" * (SIZE_LIMIT + 1), id="too-large"),
    ],
)
def test_unreadable_bytes(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(raw)
    with pytest.raises(BadInputError, match=r"UTF-8|limit"):
        load(file, Outer)


def test_missing_file_names_itself(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"gone\.yaml"):
        load(tmp_path / "gone.yaml", Outer)


def test_nearest_lists_all_when_nothing_is_close() -> None:
    assert nearest("zzz", ["go", "java"]) == "one of: go, java"
