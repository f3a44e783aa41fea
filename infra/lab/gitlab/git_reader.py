"""What is in a repository, asked for by full hashes: commits, files, folders, differences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.lab.gitlab import git
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.git_memory import keep, recall, remembered
from infra.lab.gitlab.git_object import Commit, Entry, FileDiff

HASH = re.compile(r"[0-9a-f]{40}")
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_LOG_FIELDS = ("%H", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B")
_LOG_FORMAT = "%x01" + "%x00".join(_LOG_FIELDS) + "%x00"
_LARGEST_FILE = 16 * 1024
"""Bytes of a file that is remembered."""
_LARGEST_TREE = 1024
"""Entries of a folder that is remembered."""


class Reader:
    """The objects of the bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    # Files

    def blob_at(self, sha: str, path: str) -> tuple[str, bytes] | None:
        """A file's hash and content in a commit; None when there is no such file (or it is a folder)."""

        def ask() -> tuple[str, bytes] | None:
            answer = git.run(self.path, "cat-file", "--batch", "-z", stdin=f"{sha}:{path}".encode() + b"\0")
            head, _, rest = answer.partition(b"\n")
            fields = head.split()
            if len(fields) != 3 or fields[1] != b"blob":
                return None
            return fields[0].decode(), rest[: int(fields[2])]

        return remembered((self.path, "blob", sha, path), ask, small=lambda found: len(found[1]) <= _LARGEST_FILE)

    def read_blob(self, sha: str) -> bytes | None:
        """A blob's content by its hash."""
        if not HASH.fullmatch(sha):
            return None
        return git.attempt(self.path, "cat-file", "blob", sha)

    def tree_at(self, sha: str, path: str, *, recursive: bool) -> tuple[Entry, ...] | None:
        """What is in a folder of a commit; None when there is no such folder."""

        def ask() -> tuple[Entry, ...] | None:
            options = ["-r", "-t"] if recursive else []
            listed = git.attempt(self.path, "ls-tree", "-z", "--full-tree", *options, f"{sha}:{path}")
            if listed is None:
                return None
            return tuple(_entry(line, path) for line in listed.decode("utf-8", "replace").split("\0") if line)

        return remembered((self.path, "tree", sha, path, recursive), ask, small=lambda all_: len(all_) <= _LARGEST_TREE)

    def mode_at(self, sha: str, path: str) -> str | None:
        """`100644`, `100755`, … of a file in a commit."""

        def ask() -> str | None:
            listed = git.attempt(self.path, "ls-tree", "-z", "--full-tree", sha, "--", path)
            return listed.decode().split(" ", 1)[0] if listed else None

        return remembered((self.path, "mode", sha, path), ask)

    # Commits

    def commits_at(self, shas: Sequence[str]) -> dict[str, Commit]:
        """Commits by their hashes, in one question for those that are not known yet."""
        found = {sha: recall((self.path, sha)) for sha in shas}
        if new := [sha for sha, commit in found.items() if commit is None]:
            for commit in self._log(["--no-walk=unsorted", *new, "--"]):
                found[commit.sha] = commit
                keep((self.path, commit.sha), commit)
        return {sha: commit for sha, commit in found.items() if commit is not None}

    def last_commit(self, sha: str, path: str) -> Commit | None:
        """The newest commit up to `sha` that changed a file or folder."""

        def ask() -> Commit | None:
            return next(self.commits([sha], options=["--max-count=1"], path=path), None)

        return remembered((self.path, "last", sha, path), ask)

    def contained(self, shas: Sequence[str], tip: str) -> set[str]:
        """Those of the commits that `tip` contains, in one question for those of which it is not known yet."""
        found = {sha: recall((self.path, tip, sha)) for sha in shas}
        if new := [sha for sha, inside in found.items() if inside is None]:
            outside = set(git.run(self.path, "rev-list", *new, f"^{tip}", "--").decode().split())
            for sha in new:
                found[sha] = sha not in outside
                keep((self.path, tip, sha), found[sha])
        return {sha for sha, inside in found.items() if inside}

    def commits(self, revisions: Sequence[str], *, options: Sequence[str] = (), path: str = "") -> Iterator[Commit]:
        """Commits from the newest. `revisions` are hashes from `resolve` or `--branches`; `options` are git log's."""
        return self._log([*options, *revisions, "--", *([path] if path else [])])

    def count(self, revisions: Sequence[str], *, options: Sequence[str] = (), path: str = "") -> int:
        """How many commits `commits` would give."""
        arguments = [*options, *revisions, "--", *([path] if path else [])]
        return int(git.run(self.path, "rev-list", "--count", *arguments))

    def _log(self, arguments: Sequence[str]) -> Iterator[Commit]:
        text = git.run(self.path, "log", f"--format={_LOG_FORMAT}", *arguments).decode("utf-8", "replace")
        for record in text.split("\x01")[1:]:
            sha, parents, an, ae, ad, cn, ce, cd, message = record.split("\0")[:9]
            yield Commit(
                sha=sha,
                parents=tuple(parents.split()),
                author_name=an,
                author_email=ae,
                authored_date=ad,
                committer_name=cn,
                committer_email=ce,
                committed_date=cd,
                message=message,
            )

    def changed_paths(self, before: str, after: str) -> list[str] | None:
        """Paths that differ between two commits; None when one of them isn't there (a new branch)."""
        if NO_OBJECT in (before, after):
            return None
        listed = git.attempt(self.path, "diff-tree", "-r", "-z", "--name-only", "--no-renames", before, after)
        return None if listed is None else [path for path in listed.decode("utf-8", "replace").split("\0") if path]

    def diff(self, before: str | None, after: str) -> list[FileDiff]:
        """What differs between two commits (None: nothing at all), renames found."""
        ends = [before or _EMPTY_TREE, after]
        listed = git.run(self.path, "diff-tree", "-r", "-z", "-M", "--raw", *ends).decode("utf-8", "replace")
        patch = git.run(self.path, "diff-tree", "-r", "-p", "-M", *ends).decode("utf-8", "replace")
        texts = [_hunks(each) for each in re.split(r"^diff --git .*\n", patch, flags=re.MULTILINE)[1:]]
        fields = iter(listed.split("\0"))
        diffs: list[FileDiff] = []
        for head in fields:
            if not head:
                break
            old_mode, new_mode, _, _, status = head.removeprefix(":").split(" ")
            old_path = next(fields)
            new_path = next(fields) if status[0] in "RC" else old_path
            text = texts[len(diffs)] if len(diffs) < len(texts) else ""
            diffs.append(
                FileDiff(
                    old_path=old_path,
                    new_path=new_path,
                    old_mode=old_mode,
                    new_mode=new_mode,
                    status=status[0],
                    text=text,
                )
            )
        return diffs

    def stats(self, sha: str) -> tuple[int, int]:
        """Lines that a commit adds and removes, against its first parent."""
        listed = git.run(self.path, "show", "--numstat", "--first-parent", "--format=", sha).decode("utf-8", "replace")
        rows = [line.split("\t")[:2] for line in listed.splitlines() if line]
        return sum(int(row[0]) for row in rows if row[0] != "-"), sum(int(row[1]) for row in rows if row[1] != "-")


def _hunks(patch: str) -> str:
    """A file's patch from its first hunk on, as GitLab shows it; a binary file's one line as it is."""
    for marker in ("@@", "Binary files"):
        start = patch.find(marker) if patch.startswith(marker) else patch.find("\n" + marker)
        if start >= 0:
            return patch[start:].lstrip("\n")
    return ""


def _entry(line: str, folder: str) -> Entry:
    head, _, name = line.partition("\t")
    mode, kind, sha = head.split(" ")
    return Entry(mode=mode, type=kind, sha=sha, path=f"{folder}/{name}" if folder else name)
