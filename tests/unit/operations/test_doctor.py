"""The doctor says what is missing, and how to mend it."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.core.settings import Profile, ServerPorts, Settings
from infra.operations import doctor
from infra.operations.check import Check, Verdict
from infra.operations.doctor import examine
from infra.operations.server_check import examine_servers


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def settings(tmp_path: Path, nexus: int = 2004) -> Settings:
    ports = ServerPorts(gitlab=2001, openbao=2002, openbao_cluster=2003, nexus=nexus)
    profile = Profile(name="trial", ports=ports, environment_port_offsets={"dev": 10000})
    return Settings(
        profile=profile, profile_file=tmp_path / "p.yaml", state=tmp_path / "state", cache=tmp_path / "cache"
    )


def named(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name.startswith(name))


def test_a_port_in_use_names_who_holds_it(tmp_path: Path, listener: int) -> None:
    check = named(examine(settings(tmp_path, nexus=listener), os.environ), f"port {listener}")
    assert check.verdict is Verdict.MISSING
    assert f"pid {os.getpid()}" in check.found
    assert "ports.nexus" in check.fix


def test_a_free_port_is_fine(tmp_path: Path) -> None:
    assert named(examine(settings(tmp_path), os.environ), "port 2004").verdict is Verdict.FINE


def test_no_jdk_gives_the_exact_command(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "apt-get").write_text("#!/bin/sh\n")
    (tools / "apt-get").chmod(0o755)
    check = doctor.java({"PATH": str(tools)})
    assert check.verdict is Verdict.WARNING
    assert check.fix == "sudo apt-get install -y --no-install-recommends openjdk-17-jdk-headless maven"
    assert check.install[0] == "apt-get"


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = examine(settings(tmp_path), os.environ)
    assert named(checks, "git").verdict is Verdict.MISSING
    assert named(checks, "curl").fix == "sudo apt-get install -y curl"


def test_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: SimpleNamespace(free=2**20))
    check = named(examine(settings(tmp_path), os.environ), "disk")
    assert check.verdict is Verdict.MISSING
    assert "FORGELINE_STATE" in check.fix


def test_servers_that_are_yet_to_be_started_are_no_finding(tmp_path: Path) -> None:
    assert examine_servers(settings(tmp_path)) == []
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "bootstrap.key").write_bytes(b"x" * 32)
    assert examine_servers(settings(tmp_path)) == [], "nobody listens on its ports"
