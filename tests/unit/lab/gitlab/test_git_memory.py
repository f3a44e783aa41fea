"""What is remembered of a repository: only what can't change, and no more than there is room for."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.lab.gitlab import git, git_memory
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.git_object import Change
from infra.lab.gitlab.repository import Repository
from tests.unit.lab.gitlab.test_repository import MAIN, put


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "1.git")
    made.create("main")
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that git is given from here on."""
    commands: list[str] = []
    real = git.run

    def run(repository: Path, *arguments: str, stdin: bytes = b"") -> bytes:
        commands.append(arguments[0])
        return real(repository, *arguments, stdin=stdin)

    monkeypatch.setattr(git, "run", run)
    return commands


def _read(repository: Repository) -> tuple[object, ...]:
    sha = repository.resolve("main")
    assert sha
    newest = repository.last_commit(sha, "a")
    commits = repository.commits_at([sha])
    return (
        *(repository.read_file("main", "a"), repository.list_files("main"), repository.file_mode("main", "a")),
        *(newest.sha if newest else None, commits[sha].message.strip(), repository.contained([sha], sha)),
    )


def test_git_is_asked_once(repository: Repository, asked: list[str]) -> None:
    first = put(repository, None, Change(path="a", content=b"1"))
    repository.move_ref(MAIN, first, NO_OBJECT)
    before = _read(repository)
    asked.clear()
    assert _read(repository) == before == (b"1", ["a"], "100644", first, "Change", {first})
    assert asked == []


def test_a_branch_that_moved_is_read_where_it_is_now(repository: Repository) -> None:
    first = put(repository, None, Change(path="a", content=b"1"))
    repository.move_ref(MAIN, first, NO_OBJECT)
    assert _read(repository)[0] == b"1"
    second = put(repository, first, Change(path="a", content=b"2"), Change(path="b", content=b""))
    repository.move_ref(MAIN, second, first)
    assert _read(repository) == (b"2", ["a", "b"], "100644", second, "Change", {second})
    assert repository.contained([first, second], first) == {first}
    assert repository.contained([first, second], second) == {first, second}
    repository.move_ref(MAIN, NO_OBJECT, second)
    assert repository.resolve("main") is None
    assert repository.branch("main") is None


def test_a_branch_that_git_packed_away_is_found(repository: Repository) -> None:
    first = put(repository, None, Change(path="a", content=b"1"))
    repository.move_ref("refs/heads/a/b", first, NO_OBJECT)
    git.run(repository.path, "pack-refs", "--all")
    assert not (repository.path / "refs/heads/a/b").exists()
    assert repository.resolve("a/b") == first
    assert [ref.name for ref in repository.branches()] == ["a/b"]
    found = repository.branch("a/b")
    assert found is not None
    assert found.sha == first
    assert repository.branch("a") is None


def test_what_is_not_there_may_come(repository: Repository) -> None:
    absent = "1" * 40
    assert repository.commit(absent) is None
    assert repository.read_file(absent, "a") is None
    first = put(repository, None, Change(path="a", content=b"1"))
    assert repository.last_commit(first, "b") is None
    assert repository.commit(first) is not None
    other = Repository(repository.path.with_name("2.git"))
    other.create("main")
    assert other.commit(first) is None, "another repository's commit"


def test_a_large_file_is_not_kept(repository: Repository, asked: list[str]) -> None:
    first = put(repository, None, Change(path="a", content=b"x" * 100_000))
    for _ in range(2):
        asked.clear()
        assert repository.read_file(first, "a") == b"x" * 100_000
        assert asked == ["cat-file"]


def test_what_was_used_last_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_memory, "SIZE", 2)
    git_memory.keep("one", 1)
    git_memory.keep("two", 2)
    assert git_memory.recall("one") == 1
    git_memory.keep("three", 3)
    assert [git_memory.recall(key) for key in ("one", "two", "three")] == [1, None, 3]


def test_who_lists_files_gets_a_list_of_their_own(repository: Repository) -> None:
    first = put(repository, None, Change(path="a", content=b""))
    listed = repository.tree(first)
    assert listed
    listed.clear()
    assert [entry.path for entry in repository.tree(first) or []] == ["a"]
