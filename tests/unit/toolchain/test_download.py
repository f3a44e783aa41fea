from __future__ import annotations

import socket
import threading

import pytest

from infra.core.error import ToolError
from infra.toolchain import download as module
from infra.toolchain.command import Commands, StoppedError
from infra.toolchain.download import download


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.3)


def test_a_file_with_the_pinned_checksum_is_kept(site, tmp_path, checksum):
    site.files["/tool"] = b"content"
    download(f"{site.address}/tool", sha256=checksum(b"content"), to=tmp_path / "tool", commands=Commands())
    assert (tmp_path / "tool").read_bytes() == b"content"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        pytest.param("/other", "has the checksum", id="other content"),
        pytest.param("/absent", "answers 404", id="absent"),
        pytest.param("/hangs", "does not answer within", id="connects and hangs"),
    ],
)
def test_a_source_that_fails_says_how(site, tmp_path, checksum, path, says):
    site.files["/other"] = b"other content"
    site.hanging.add("/hangs")
    with pytest.raises(ToolError, match=says) as caught:
        download(f"{site.address}{path}", sha256=checksum(b"content"), to=tmp_path / "tool", commands=Commands())
    assert caught.value.where == f"{site.address}{path}"


def test_a_port_where_nobody_listens_is_given_up(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/tool"
        with pytest.raises(ToolError, match="can't be reached"):
            download(url, sha256="0" * 64, to=tmp_path / "tool", commands=Commands())


def test_a_name_that_does_not_resolve_is_given_up_at_once(tmp_path, monkeypatch):
    def refuse(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(ToolError, match="does not resolve: Name or service not known"):
        download("https://vendor.invalid/tool", sha256="0" * 64, to=tmp_path / "tool", commands=Commands())


def test_a_resolver_that_does_not_answer_is_given_up(tmp_path, monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answer.wait(30))
    try:
        with pytest.raises(ToolError, match="does not resolve within"):
            download("https://vendor.invalid/tool", sha256="0" * 64, to=tmp_path / "tool", commands=Commands())
    finally:
        answer.set()


def test_a_stopped_run_downloads_no_further(site, tmp_path):
    site.files["/tool"] = b"content"
    commands = Commands()
    commands.stop()
    with pytest.raises(StoppedError):
        download(f"{site.address}/tool", sha256="0" * 64, to=tmp_path / "tool", commands=commands)
