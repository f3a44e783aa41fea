from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from infra.core.error import ToolError
from infra.images.entry import Entry, difference, folder, from_folder, from_tar, link, text, with_folders
from infra.images.layer import write


def archive(path: Path, entries: list[Entry]) -> Path:
    with path.open("wb") as file:
        write(entries, file)
    return path


def paths(entries: list[Entry]) -> list[str]:
    return [entry.path for entry in entries]


def test_a_folder_is_read_with_modes_and_links_and_nothing_of_its_owner(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "run").write_text("x")
    (tmp_path / "bin" / "run").chmod(0o700)
    (tmp_path / "bin" / "also").symlink_to("run")
    (tmp_path / "notes").write_text("y")
    os.utime(tmp_path / "notes", (5e8, 5e8))
    found = {entry.path: entry for entry in from_folder(tmp_path, "opt/a", lambda path: path.name != "secret")}
    assert sorted(found) == ["opt/a", "opt/a/bin", "opt/a/bin/also", "opt/a/bin/run", "opt/a/notes"]
    assert (found["opt/a/bin/run"].mode, found["opt/a/notes"].mode) == (0o755, 0o644)
    assert found["opt/a/bin/also"].target == "run"
    assert {(entry.owner, entry.group, entry.time) for entry in found.values()} == {(0, 0, 315_532_800)}


def test_what_is_not_kept_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "case").write_text("x")
    (tmp_path / "kept").write_text("x")
    assert paths(list(from_folder(tmp_path, "a", lambda path: path.name != "test"))) == ["a", "a/kept"]


def test_an_archive_gives_back_what_was_written(tmp_path: Path) -> None:
    written = [folder("srv/a", mode=0o750, owner=10_001), text("srv/a/b", "one", mode=0o600), link("srv/c", "a/b")]
    found = from_tar(archive(tmp_path / "a.tar", written))
    assert found["srv/a/b"].read() == b"one"
    assert [found[entry.path].identity for entry in written] == [entry.identity for entry in written]


def test_hard_links_stay_one_file_whichever_path_comes_first(tmp_path: Path) -> None:
    made = tmp_path / "a.tar"
    with tarfile.open(made, "w") as tar:
        member = tarfile.TarInfo("./usr/z")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
        member = tarfile.TarInfo("./usr/a")
        member.type, member.linkname = tarfile.LNKTYPE, "./usr/z"
        tar.addfile(member)
    found = from_tar(made)
    assert found["usr/a"].read() == found["usr/z"].read() == b"abc"
    with tarfile.open(archive(tmp_path / "b.tar", list(found.values()))) as again:
        assert again.getmember("usr/a").isreg()
        assert again.getmember("usr/z").islnk()
        assert again.getmember("usr/z").linkname == "usr/a"


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar" * 1000)
    with pytest.raises(ToolError, match="damaged"):
        from_tar(tmp_path / "a.tar")


def named(*entries: Entry) -> dict[str, Entry]:
    return {entry.path: entry for entry in entries}


def test_a_difference_has_what_changed_and_the_folders_above_as_they_are() -> None:
    old = named(folder("etc"), folder("root", mode=0o700), text("etc/same", "1"), text("etc/other", "1"))
    new = named(
        folder("etc"), folder("root", mode=0o700), text("etc/same", "1"), text("etc/other", "2"), text("root/x", "")
    )
    found = {entry.path: entry for entry in difference(new, old)}
    assert sorted(found) == ["etc", "etc/other", "root", "root/x"]
    assert found["root"].mode == 0o700


@pytest.mark.parametrize(
    "changed",
    [text("a", "2"), text("a", "1", mode=0o600), link("a", "b"), folder("a", owner=10_001)],
    ids=["content", "mode", "kind", "owner"],
)
def test_every_field_makes_a_difference(changed: Entry) -> None:
    assert difference(named(changed), named(text("a", "1"))) == [changed]


def test_what_is_gone_is_hidden_once() -> None:
    old = named(folder("usr"), folder("usr/doc"), text("usr/doc/a", ""), text("usr/doc/b", ""), text("usr/x", ""))
    assert paths(difference(named(folder("usr")), old)) == ["usr", "usr/.wh.doc", "usr/.wh.x"]


def test_nothing_changed_is_no_entry() -> None:
    same = named(folder("usr"), text("usr/a", "1"))
    assert difference(same, dict(same)) == []


def test_missing_folders_are_added_and_named_ones_kept() -> None:
    found = with_folders([text("opt/a/b", ""), folder("opt/a", mode=0o700)])
    assert [(entry.path, entry.mode) for entry in found] == [("opt", 0o755), ("opt/a", 0o700), ("opt/a/b", 0o644)]
