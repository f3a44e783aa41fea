from __future__ import annotations

import os
import zipfile

import pytest

from infra.core.error import ToolError
from infra.toolchain.archive import link, unpack


def wheel(path, files):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100755 if "/bin/" in name else 0o100644) << 16
            file.writestr(info, content)
    return path


@pytest.mark.parametrize(
    "prefix", [pytest.param("", id="plain"), pytest.param("tool-1.0.data/purelib/", id="in the wheel's data")]
)
def test_a_wheels_folder_is_unpacked_with_modes(tmp_path, prefix):
    archive = wheel(tmp_path / "x.whl", {f"{prefix}tool/bin/run": "run", f"{prefix}tool/text": "t", "other/no": "no"})
    unpack(archive, root="tool", into=tmp_path / "out")
    assert os.access(tmp_path / "out" / "bin" / "run", os.X_OK)
    assert not os.access(tmp_path / "out" / "text", os.X_OK)
    assert not list((tmp_path / "out").rglob("no"))


def test_a_tars_folder_is_unpacked_with_modes(tmp_path, make_tarball):
    (tmp_path / "x").write_bytes(make_tarball({"tool/run": b"run", "LICENSE": b"l"}))
    unpack(tmp_path / "x", root="tool", into=tmp_path / "out" / "bin")
    assert os.access(tmp_path / "out" / "bin" / "run", os.X_OK)
    assert not (tmp_path / "out" / "bin" / "LICENSE").exists()


def test_a_bare_program_is_made_executable(tmp_path):
    (tmp_path / "x").write_bytes(b"\x7fELF...")
    unpack(tmp_path / "x", root="", into=tmp_path / "out" / "bin" / "run")
    assert os.access(tmp_path / "out" / "bin" / "run", os.X_OK)


@pytest.mark.parametrize("name", ["tool/../../evil", "/evil"])
def test_nothing_is_written_elsewhere(tmp_path, make_tarball, name):
    wheel(tmp_path / "zip", {name: "evil"})
    (tmp_path / "tar").write_bytes(make_tarball({name: b"evil"}))
    for archive in ("zip", "tar"):
        with pytest.raises(ToolError, match="outside its folder"):
            unpack(tmp_path / archive, root="", into=tmp_path / "out" / "deep")
    assert not list(tmp_path.rglob("evil"))


def test_an_archive_without_the_folder_is_refused(tmp_path):
    with pytest.raises(ToolError, match="has no folder tool"):
        unpack(wheel(tmp_path / "x.whl", {"other/no": "no"}), root="tool", into=tmp_path / "out")


def test_a_damaged_archive_is_refused(tmp_path):
    archive = wheel(tmp_path / "x.whl", {"tool/bin/run": "run" * 1000})
    raw = bytearray(archive.read_bytes())
    raw[60:90] = b"x" * 30
    archive.write_bytes(raw)
    with pytest.raises(ToolError, match="is damaged"):
        unpack(archive, root="tool", into=tmp_path / "out")


def test_links_are_made(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "cli.js").write_text("x")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "npm").write_text("a copy that a wheel brought")
    link(tmp_path, {"bin/npm": "../lib/cli.js"})
    assert (tmp_path / "bin" / "npm").read_text() == "x"
