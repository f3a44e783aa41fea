"""Merging without a checkout: the tree that a merge gives, and commits made of trees.

`git merge-tree` would do, but git has it only since 2.38; `merge-recursive` in a folder of its own does the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from infra.lab.gitlab import git
from infra.lab.gitlab.git import GitError
from infra.lab.gitlab.git_object import Commit, Signature
from infra.lab.gitlab.repository import Repository


class ConflictError(Exception):
    """Both sides changed the same place."""


def merged_tree(repository: Repository, base: str, ours: str, theirs: str) -> str:
    """The tree of `ours` with what changed from `base` to `theirs`. Raises ConflictError."""
    tree = _merged_tree(repository.path, base, ours, theirs)
    if tree is None:
        raise ConflictError
    return tree


@lru_cache(maxsize=1024)
def _merged_tree(path: Path, base: str, ours: str, theirs: str) -> str | None:
    # Objects are never removed from a repository, so an answer stays right.
    with tempfile.TemporaryDirectory(prefix="forgeline-merge-") as folder:
        work, index = Path(folder, "work"), Path(folder, "index")
        work.mkdir()
        place = {"GIT_WORK_TREE": str(work), "GIT_INDEX_FILE": str(index)}
        git.run(path, "read-tree", ours, extra=place)
        git.run(path, "checkout-index", "--all", "--index", "--quiet", extra=place)
        try:
            git.run(path, "merge-recursive", base, "--", ours, theirs, extra=place)
        except GitError as error:
            if error.code == 1:
                return None
            raise
        return git.run(path, "write-tree", extra=place).decode().strip()


def tree_of(repository: Repository, commit: str) -> str:
    """A commit's tree."""
    return git.run(repository.path, "rev-parse", f"{commit}^{{tree}}").decode().strip()


def commit_tree(
    repository: Repository,
    tree: str,
    parents: Sequence[str],
    message: str,
    *,
    committer: Signature,
    author: Signature | None = None,
    authored: str | None = None,
) -> str:
    """A new commit that no ref has yet. `authored` is the author's date, where it isn't now."""
    arguments = [argument for parent in parents for argument in ("-p", parent)]
    who = {**_person("AUTHOR", author or committer), **_person("COMMITTER", committer)}
    if authored is not None:
        who["GIT_AUTHOR_DATE"] = authored
    made = git.run(repository.path, "commit-tree", tree, *arguments, stdin=message.encode(), extra=who)
    return made.decode().strip()


def _person(role: str, who: Signature) -> Mapping[str, str]:
    # Git refuses an empty name; `line` has one for that.
    name, _, rest = who.line(0).partition(" <")
    return {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": rest.partition(">")[0]}


def picked(repository: Repository, commit: Commit, onto: str, committer: Signature, *, message: str = "") -> str:
    """`commit` made again on top of `onto`; its author stays. Raises ConflictError."""
    base = commit.parents[0] if commit.parents else _empty_tree(repository)
    tree = merged_tree(repository, base, onto, commit.sha)
    author = Signature(name=commit.author_name, email=commit.author_email)
    return commit_tree(
        repository,
        tree,
        [onto],
        message or commit.message,
        committer=committer,
        author=author,
        authored=commit.authored_date,
    )


def reverted(repository: Repository, commit: Commit, onto: str, committer: Signature) -> str:
    """A commit on top of `onto` that takes `commit` back. Raises ConflictError."""
    before = commit.parents[0] if commit.parents else _empty_tree(repository)
    tree = merged_tree(repository, commit.sha, onto, before)
    message = f'Revert "{commit.title}"\n\nThis reverts commit {commit.sha}'
    return commit_tree(repository, tree, [onto], message, committer=committer)


def _empty_tree(repository: Repository) -> str:
    return git.run(repository.path, "hash-object", "-t", "tree", "-w", "--stdin").decode().strip()
