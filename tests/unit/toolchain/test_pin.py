from __future__ import annotations

import pytest

from infra.core.document import InvalidDocumentError
from infra.toolchain import pin as module
from infra.toolchain.pin import GO_PROGRAMS, ArchivePin, GoPin, WheelPin, digest, load_pins
from infra.toolchain.toolchain import JOB_TOOLS, LAB_TOOLS


def test_the_file_has_every_tool_that_is_asked_for():
    assert set(load_pins().tools) >= {*LAB_TOOLS, *JOB_TOOLS}


def test_the_vendors_release_comes_before_packages():
    for name, tool in load_pins().tools.items():
        kinds = [source.kind for source in tool.sources]
        assert "archive" not in kinds[1:], name


def test_every_go_program_has_its_module_and_sums():
    programs = {s.program for t in load_pins().tools.values() for s in t.sources if isinstance(s, GoPin)}
    assert programs == {path.name for path in GO_PROGRAMS.iterdir()}
    for program in programs:
        assert (GO_PROGRAMS / program / "go.mod").is_file()
        assert (GO_PROGRAMS / program / "go.sum").is_file()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("version: 1\n", "tools", id="no tools"),
        pytest.param(
            "tools: {x: {version: '1', executable: x, sources: [{kind: wheel}]}}\n", "package", id="half a source"
        ),
        pytest.param(
            "tools: {x: {version: '1', executable: x, sources: [{kind: curl, url: x}]}}\n", "curl", id="unknown kind"
        ),
        pytest.param(
            "tools: {x: {version: '1', executable: x, sources:"
            " [{kind: wheel, package: p, version: '1', root: p, sha256: [abc]}]}}\n",
            "sha256",
            id="not a checksum",
        ),
    ],
)
def test_a_broken_file_is_refused_with_its_place(tmp_path, text, says):
    file = tmp_path / "pins.yaml"
    file.write_text(text)
    with pytest.raises(InvalidDocumentError) as caught:
        load_pins(file)
    assert says in str(caught.value)
    assert f"{file}:1" in str(caught.value)


def test_a_digest_follows_what_a_go_build_is_made_of(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GO_PROGRAMS", tmp_path)
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "go.sum").write_text("one")
    pin = GoPin(kind="go", program="program", package=".", output="program")
    first = digest(pin, "1.0")
    assert digest(pin, "1.1") != first
    (folder / "main_test.go").write_text("not built")
    assert digest(pin, "1.0") == first
    (folder / "go.sum").write_text("two")
    assert digest(pin, "1.0") != first


def test_a_digest_follows_the_checksum():
    one = WheelPin(kind="wheel", package="p", version="1", sha256=["0" * 64], root="p")
    assert digest(one, "1") != digest(one.model_copy(update={"sha256": ["1" * 64]}), "1")


def test_an_archive_of_another_machine_is_another_installation(monkeypatch):
    pin = ArchivePin(kind="archive", url="http://x/{platform}", platforms={"linux-amd64": "x"})
    here = digest(pin, "1")
    monkeypatch.setattr(module, "machine", lambda: "darwin-arm64")
    assert digest(pin, "1") != here
