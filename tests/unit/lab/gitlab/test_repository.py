"""Repositories: what is read from them, and commits made in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.git_object import Change, Signature, valid_path, valid_ref_name
from infra.lab.gitlab.repository import Repository, StaleRefError

ADA = Signature(name="Ada", email="ada@example.org")
MAIN = "refs/heads/main"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "1.git")
    made.create("main")
    return made


def put(
    repository: Repository, parent: str | None, *changes: Change, message: str = "Change", author: Signature = ADA
) -> str:
    return repository.write_commit(
        parent, changes, message=message, author=author, committer=ADA, seconds=1_700_000_000
    )


def test_an_empty_repository_has_nothing(repository: Repository) -> None:
    assert repository.refs() == {}
    assert repository.resolve("main") is None
    assert repository.read_file("main", "x") is None
    assert repository.list_files("main") == []
    assert repository.commit("main") is None


def test_a_commit_and_what_is_in_it(repository: Repository) -> None:
    first = put(
        repository, None, Change(path='a/ü "x".txt', content=b"1\0"), Change(path="run", content=b"", executable=True)
    )
    repository.move_ref(MAIN, first, NO_OBJECT)
    second = put(repository, first, Change(path="b", content=b"2"), Change(path="run"), message="Title\n\nBody")
    repository.move_ref(MAIN, second, first)
    assert repository.resolve("main") == repository.resolve(second[:10]) == second
    assert repository.resolve("main~1") == first
    assert repository.read_file("main", 'a/ü "x".txt') == b"1\0"
    assert repository.read_file("main", "a") is None
    assert repository.list_files("main") == ['a/ü "x".txt', "b"]
    assert repository.file_mode(first, "run") == "100755"
    assert repository.changed_paths(first, second) == ["b", "run"]
    assert repository.changed_paths(NO_OBJECT, second) is None
    commit = repository.commit("main")
    assert commit is not None
    assert (commit.title, commit.description, commit.author_name, commit.parents) == ("Title", "Body", "Ada", (first,))
    assert [diff.status for diff in repository.diff(first, second)] == ["A", "D"]
    assert repository.is_ancestor(first, second)
    assert not repository.is_ancestor(second, first)
    assert [ref for ref in repository.refs() if "forgeline" in ref] == []


def test_a_ref_that_moved_is_not_overwritten(repository: Repository) -> None:
    first = put(repository, None, Change(path="a", content=b""))
    repository.move_ref(MAIN, first, NO_OBJECT)
    second = put(repository, first, Change(path="b", content=b""))
    with pytest.raises(StaleRefError):
        repository.move_ref(MAIN, second, NO_OBJECT)
    assert repository.resolve("main") == first


@pytest.mark.parametrize(
    "name",
    ["Ada <evil@example.org>\ncommitter x", "\0", "<>", ""],
    ids=["breaks-out", "nul", "brackets", "empty"],
)
def test_an_authors_name_cannot_write_another_header(repository: Repository, name: str) -> None:
    sha = put(repository, None, Change(path="a", content=b""), author=Signature(name=name, email="a b>\n@x"))
    commit = repository.commit(sha)
    assert commit is not None
    assert (commit.author_email, commit.committer_name) == ("ab@x", "Ada")


def test_a_message_cannot_write_commands(repository: Repository) -> None:
    text = "x\nM 100644 inline evil\ndata 1\nx\n"
    sha = put(repository, None, Change(path="a", content=b"M 100644 inline evil2\n"), message=text)
    assert repository.list_files(sha) == ["a"]


@pytest.mark.parametrize(
    "revision",
    ["--help", "-1", "main..x", "main@{1}", ":/text", "HEAD:file", "a b", "", "^main", "refs/heads/\x00", "x" * 5000],
)
def test_revisions_that_are_more_than_a_name_are_nothing(repository: Repository, revision: str) -> None:
    sha = put(repository, None, Change(path="file", content=b""))
    repository.move_ref(MAIN, sha, NO_OBJECT)
    assert repository.resolve(revision) is None
    assert repository.tree(revision) is None


@pytest.mark.parametrize("path", ["../x", "a/../b", "/etc", "a//b", ".git/config", ".GIT/hooks", "", ".", "a\0b"])
def test_paths_that_lead_out_are_not_valid(repository: Repository, path: str) -> None:
    assert not valid_path(path)
    sha = put(repository, None, Change(path="a", content=b""))
    assert repository.read_file(sha, path) is None


@pytest.mark.parametrize("path", ["../x", ".git/config"])
def test_no_commit_has_a_path_that_leads_out(repository: Repository, path: str) -> None:
    with pytest.raises(ValueError, match="cannot be a file's path"):
        put(repository, None, Change(path=path, content=b""))


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("main", True),
        ("feature/a.b-c_d", True),
        ("v1.0.0", True),
        ("ü", True),
        ("-x", False),
        ("a..b", False),
        ("a.lock", False),
        ("a/.b", False),
        ("a b", False),
        ("a~1", False),
        ("a@{1}", False),
        ("/a", False),
        ("a/", False),
        ("HEAD", False),
        ("a" * 40, False),
    ],
)
def test_names_of_branches(name: str, valid: bool) -> None:
    assert valid_ref_name(name) is valid
