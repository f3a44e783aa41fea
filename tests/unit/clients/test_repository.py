"""A stranger's repository: what is refused, that nothing of it is run, and that the token is in no argument."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.clients import repository
from infra.clients.repository import check_source, cloned
from infra.core.error import BadInputError, ServerError
from infra.core.progress import Silent
from infra.core.secret import SecretValue

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b.test")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "trunk")
    (folder / "go.mod").write_text("module x\n")
    (folder / "ümläut name.go").write_text("// GET /health\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    (folder / "second").write_text("2")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "second")
    return folder


def test_the_last_commit_is_read_without_a_work_tree(origin: Path) -> None:
    with cloned(str(origin), Silent()) as made:
        folder = made.folder
        assert made.paths == {"go.mod", "ümläut name.go", "second"}
        assert made.commit == git(origin, "rev-parse", "HEAD")
        assert made.read("go.mod") == "module x\n"
        assert made.read("nothing") == ""
        assert made.mentions("/health", ".go")
        assert not made.mentions("/health", ".java")
    assert not folder.exists()


def test_the_whole_history_is_pushed(origin: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.git"
    git(tmp_path, "init", "-q", "--bare", str(target))
    git(target, "config", "receive.advertisePushOptions", "true")
    with cloned(str(origin), Silent()) as made:
        made.push(str(target), SecretValue("secret-token"), "main")
        assert git(target, "rev-parse", "main") == made.commit
    assert git(target, "rev-list", "--count", "main") == "2"


def test_the_token_is_in_no_argument_and_in_no_error(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: calls.append(a) or run(*a, **k))
    with cloned(str(origin), Silent()) as made, pytest.raises(ServerError) as caught:
        made.push(str(tmp_path / "nowhere.git"), SecretValue("secret-token"), "main")
    assert calls
    assert "secret-token" not in f"{calls} {caught.value}"
    assert "c2VjcmV0" not in f"{calls} {caught.value}"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("/nowhere", "is neither a folder nor an address", id="no-folder"),
        pytest.param("ext::sh -c id", "is neither a folder nor an address", id="transport-that-runs"),
        pytest.param("--upload-pack=id", "is neither a folder nor an address", id="option"),
        pytest.param("https://me:secret@git.example/x", "has a password in it", id="password"),
        pytest.param("https://", "is neither a folder nor an address", id="no-host"),
    ],
)
def test_what_is_no_source_is_refused_before_git_is_called(source: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said) as caught:
        check_source(source)
    assert "secret" not in str(caught.value)


def test_what_can_t_be_cloned_says_what_git_says(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="can't be cloned") as caught, cloned(str(tmp_path), Silent()):
        pass
    assert "does not appear to be a git repository" in caught.value.detail


def test_an_empty_repository_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(BadInputError, match="has no commit"), cloned(str(tmp_path), Silent()):
        pass


def test_one_that_is_too_big_is_given_up(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "SIZE_LIMIT", -1)
    with pytest.raises(BadInputError, match="of history"), cloned(str(origin), Silent()):
        pass


def test_one_that_takes_too_long_is_given_up(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "TIMEOUT", -1.0)
    with pytest.raises(BadInputError, match="could not be cloned in"), cloned(str(origin), Silent()):
        pass


def test_nothing_of_it_is_run(origin: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    for name in ("post-checkout", "reference-transaction", "pre-push", "post-receive"):
        hook = origin / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {trace}\n")
        hook.chmod(0o755)
    git(origin, "config", "core.fsmonitor", f"touch {trace}")
    (origin / ".gitattributes").write_text("* filter=x diff=x\n")
    git(origin, "config", "filter.x.smudge", f"touch {trace}; cat")
    git(origin, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "add", ".gitattributes")
    git(origin, "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "commit", "-qm", "third")
    trace.unlink(missing_ok=True)
    with cloned(str(origin), Silent()) as made:
        assert ".gitattributes" in made.paths
        made.mentions("x", ".go")
    assert not trace.exists()
