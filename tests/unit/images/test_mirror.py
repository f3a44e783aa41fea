from __future__ import annotations

from pathlib import Path

import pytest

from infra.core.error import ToolError
from infra.images.mirror import mirrors, release_time


def apt(folder: Path, told: str) -> dict[str, str]:
    """An environment whose `apt-get` says this of its sources."""
    program = folder / "apt-get"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{told}END\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_the_suites_of_debian_are_taken_from_apt_and_others_sources_left_out(tmp_path: Path) -> None:
    told = (
        "http://mirror.example/debian/ bookworm main\n"
        "http://mirror.example/debian/ bookworm contrib\n"
        "http://mirror.example/security/ bookworm-security main\n"
        "http://other.example/node nodistro main\n"
        "http://other.example/old bullseye main\n"
    )
    assert [mirror.line for mirror in mirrors(apt(tmp_path, told))] == [
        "deb http://mirror.example/debian/ bookworm main",
        "deb http://mirror.example/security/ bookworm-security main",
    ]


@pytest.mark.parametrize("told", ["", "http://mirror.example/debian trixie main\n"], ids=["nothing", "another release"])
def test_a_machine_without_a_mirror_is_told_what_to_do(tmp_path: Path, told: str) -> None:
    with pytest.raises(ToolError, match="bookworm") as caught:
        mirrors(apt(tmp_path, told))
    assert "sources.list.d" in str(caught.value)


def test_a_machine_without_apt_is_told_the_same(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="no mirror"):
        mirrors({"PATH": str(tmp_path)})


def test_a_release_says_when_it_was_written() -> None:
    text = "Origin: Debian\nDate: Mon, 23 Nov 2026 11:22:37 UTC\nSHA256:\n abc 1 Date: x\n"
    assert release_time(text, where="bookworm") == 1_795_432_957


@pytest.mark.parametrize("text", ["Origin: Debian\n", "Date: yesterday\n"], ids=["none", "not a date"])
def test_a_release_without_a_date_is_told(text: str) -> None:
    with pytest.raises(ToolError, match="no date"):
        release_time(text, where="bookworm")
