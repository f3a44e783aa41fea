"""A project's repository: what is in it, and new commits made on the server.

A bare repository `ID.git` that only git touches. Revisions come from clients, so only plain ones are let through.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from infra.lab.gitlab import git
from infra.lab.gitlab.git import NO_OBJECT, GitError
from infra.lab.gitlab.git_object import (
    Change,
    Commit,
    Entry,
    FileDiff,
    Ref,
    Signature,
    valid_path,
    valid_ref_name,
)

_REVISION = re.compile(r"(?!-)[^\x00-\x20~^:?*\[\\\x7f]{1,1024}(?:[~^][0-9]{0,6}){0,20}")
_HASH = re.compile(r"[0-9a-f]{40}")
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_LOG_FIELDS = ("%H", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B")
_LOG_FORMAT = "%x01" + "%x00".join(_LOG_FIELDS) + "%x00"


class StaleRefError(Exception):
    """The ref no longer points to what the change was made from."""


class Repository:
    """A bare repository at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, default_branch: str) -> None:
        """Make an empty repository; one that is there already is kept."""
        if (self.path / "HEAD").exists():
            return
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        shutil.rmtree(draft, ignore_errors=True)
        git.run(draft, "init", "--quiet", "--bare", "--template=", f"--initial-branch={default_branch}", str(draft))
        draft.rename(self.path)

    def delete(self) -> None:
        """Remove it; under another name first, so that nobody sees half a repository."""
        if self.path.exists():
            doomed = self.path.with_name(f"{self.path.name}.gone")
            shutil.rmtree(doomed, ignore_errors=True)
            self.path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def set_head(self, branch: str) -> None:
        """Make `branch` what a clone checks out."""
        git.run(self.path, "symbolic-ref", "HEAD", f"refs/heads/{branch}")

    # Revisions

    def resolve(self, revision: str) -> str | None:
        """The full hash of the commit that a branch, tag or hash names; a branch wins over a tag."""
        if not _REVISION.fullmatch(revision) or "@{" in revision or ".." in revision:
            return None
        candidates = [revision] if _HASH.fullmatch(revision) else [f"refs/heads/{revision}", revision]
        asked = "".join(f"{candidate}^{{commit}}\0" for candidate in candidates)
        answers = git.run(self.path, "cat-file", "--batch-check", "-z", stdin=asked.encode()).decode("utf-8", "replace")
        for answer in answers.splitlines():
            sha, _, rest = answer.partition(" ")
            if rest.startswith("commit ") and _HASH.fullmatch(sha):
                return sha
        return None

    def _known(self, revision: str) -> str | None:
        """A full hash as it is (what reads it finds out whether it is there), anything else resolved."""
        return revision if _HASH.fullmatch(revision) else self.resolve(revision)

    def refs(self) -> dict[str, str]:
        """Object by full name, of all branches and tags."""
        lines = git.run(self.path, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")
        pairs = (line.split(" ", 1) for line in lines.decode("utf-8", "surrogateescape").splitlines())
        return {ref: sha for sha, ref in pairs}

    def branches(self) -> list[Ref]:
        """All branches by name."""
        return self._list_refs("refs/heads")

    def tags(self) -> list[Ref]:
        """All tags by name."""
        return self._list_refs("refs/tags")

    def branch(self, name: str) -> Ref | None:
        """One branch."""
        return self._one_ref("refs/heads", name)

    def tag(self, name: str) -> Ref | None:
        """One tag."""
        return self._one_ref("refs/tags", name)

    def _one_ref(self, folder: str, name: str) -> Ref | None:
        # A pattern of for-each-ref also matches what is below it, as `a` does `a/b`.
        if not valid_ref_name(name):
            return None
        return next((ref for ref in self._list_refs(f"{folder}/{name}") if ref.name == name), None)

    def _list_refs(self, pattern: str) -> list[Ref]:
        fields = ("refname:lstrip=2", "objectname", "*objectname", "objecttype", "contents", "creatordate:iso-strict")
        template = "%01" + "%00".join(f"%({field})" for field in fields)
        lines = git.run(self.path, "for-each-ref", f"--format={template}", pattern).decode("utf-8", "replace")
        refs = []
        for record in lines.split("\x01")[1:]:
            name, target, peeled, kind, contents, date = record.rstrip("\n").split("\0")
            annotated = kind == "tag"
            message = contents.strip() if annotated else ""
            created = date if annotated else None
            refs.append(Ref(name=name, sha=peeled or target, target=target, message=message, created_at=created))
        return refs

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`."""
        return git.attempt(self.path, "merge-base", "--is-ancestor", older, newer) is not None

    def merge_base(self, revisions: Sequence[str]) -> str | None:
        """The best common ancestor of commits."""
        found = git.attempt(self.path, "merge-base", *revisions)
        return found.decode().split()[0] if found else None

    # Files

    def read_file(self, revision: str, path: str) -> bytes | None:
        """A file's content; None when there is no such file (or it is a folder)."""
        found = self._object(revision, path)
        return found[1] if found else None

    def blob(self, revision: str, path: str) -> tuple[str, bytes] | None:
        """A file's hash and content."""
        return self._object(revision, path)

    def _object(self, revision: str, path: str) -> tuple[str, bytes] | None:
        sha = self._known(revision)
        if sha is None or not valid_path(path):
            return None
        answer = git.run(self.path, "cat-file", "--batch", "-z", stdin=f"{sha}:{path}".encode() + b"\0")
        head, _, rest = answer.partition(b"\n")
        fields = head.split()
        if len(fields) != 3 or fields[1] != b"blob":
            return None
        return fields[0].decode(), rest[: int(fields[2])]

    def read_blob(self, sha: str) -> bytes | None:
        """A blob's content by its hash."""
        if not _HASH.fullmatch(sha):
            return None
        return git.attempt(self.path, "cat-file", "blob", sha)

    def list_files(self, revision: str) -> list[str]:
        """The paths of all files; none for a revision that isn't there."""
        return [entry.path for entry in self.tree(revision, recursive=True) or [] if entry.type != "tree"]

    def tree(self, revision: str, path: str = "", *, recursive: bool = False) -> list[Entry] | None:
        """What is in a folder; None when there is no such revision or folder."""
        sha = self._known(revision)
        path = path.strip("/")
        if sha is None or (path and not valid_path(path)):
            return None
        options = ["-r", "-t"] if recursive else []
        listed = git.attempt(self.path, "ls-tree", "-z", "--full-tree", *options, f"{sha}:{path}")
        if listed is None:
            return None
        return [_entry(line, path) for line in listed.decode("utf-8", "replace").split("\0") if line]

    def file_mode(self, revision: str, path: str) -> str | None:
        """`100644`, `100755`, … of a file."""
        sha = self._known(revision)
        if sha is None or not valid_path(path):
            return None
        listed = git.attempt(self.path, "ls-tree", "-z", "--full-tree", sha, "--", path)
        return listed.decode().split(" ", 1)[0] if listed else None

    def archive(self, revision: str, kind: str, prefix: str, path: str = "") -> bytes | None:
        """An archive (`tar.gz`, `zip`, `tar`) of a commit's files below `prefix`."""
        sha = self.resolve(revision)
        if sha is None:
            return None
        paths = ["--", path] if path else []
        return git.attempt(self.path, "archive", f"--format={kind}", f"--prefix={prefix}/", sha, *paths)

    # Commits

    def commit(self, revision: str) -> Commit | None:
        """One commit."""
        sha = self.resolve(revision)
        return next(self._log(["--max-count=1", sha])) if sha else None

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

    def containing(self, sha: str, folder: str) -> list[str]:
        """Names of the branches (`refs/heads`) or tags (`refs/tags`) that contain a commit."""
        listed = git.run(self.path, "for-each-ref", f"--contains={sha}", "--format=%(refname:lstrip=2)", folder)
        return listed.decode("utf-8", "replace").splitlines()

    def merged(self, branch: str) -> set[str]:
        """Names of the branches whose commits `branch` has."""
        listed = git.attempt(
            self.path, "for-each-ref", f"--merged=refs/heads/{branch}", "--format=%(refname:lstrip=2)", "refs/heads"
        )
        return set((listed or b"").decode("utf-8", "replace").splitlines())

    def write_commit(
        self,
        parent: str | None,
        changes: Sequence[Change],
        *,
        message: str,
        author: Signature,
        committer: Signature,
        seconds: int,
    ) -> str:
        """A new commit that no ref has yet; its hash. Raises ValueError for a path that is not valid."""
        for path in (name for change in changes for name in (change.path, change.previous) if name is not None):
            if not valid_path(path):
                # `git fast-import` takes any path, `../x` and `.git/config` too.
                raise ValueError(f"{path!r} cannot be a file's path")
        scratch = f"refs/forgeline/scratch/{os.urandom(8).hex()}"
        text = message.encode()
        head = [f"commit {scratch}\nmark :1\nauthor {author.line(seconds)}\ncommitter {committer.line(seconds)}\n"]
        stream = bytearray("".join(head).encode() + b"data %d\n%s\n" % (len(text), text))
        if parent:
            stream += f"from {parent}\n".encode()
        for change in changes:
            stream += _fast_import(change, self._mode(parent, change))
        stream += f"\nget-mark :1\nreset {scratch}\nfrom {NO_OBJECT}\n\ndone\n".encode()
        answer = git.run(self.path, "fast-import", "--quiet", "--done", "--date-format=raw", stdin=bytes(stream))
        return answer.decode().split()[0]

    def _mode(self, parent: str | None, change: Change) -> str:
        if change.content is not None and change.executable is None and parent:
            return self.file_mode(parent, change.previous or change.path) or "100644"
        return "100755" if change.executable else "100644"

    def move_ref(self, ref: str, after: str, before: str) -> None:
        """Point a ref from `before` to `after` (NO_OBJECT: not there). Raises StaleRefError when it has moved."""
        try:
            if after == NO_OBJECT:
                git.run(self.path, "update-ref", "-d", ref, before)
            else:
                git.run(self.path, "update-ref", ref, after, before)
        except GitError as error:
            raise StaleRefError(error.output) from error

    def point_ref(self, ref: str, sha: str) -> None:
        """Point a ref of the server's own to a commit, wherever it pointed before."""
        git.run(self.path, "update-ref", ref, sha)

    def write_tag(self, name: str, target: str, message: str, tagger: Signature, seconds: int) -> str:
        """An annotated tag's object; no ref points to it yet."""
        text = f"object {target}\ntype commit\ntag {name}\ntagger {tagger.line(seconds)}\n\n{message.strip()}\n"
        return git.run(self.path, "mktag", stdin=text.encode()).decode().strip()


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


def _fast_import(change: Change, mode: str) -> bytes:
    path = _quoted(change.path)
    lines = bytearray()
    if change.previous is not None:
        lines += b"R %s %s\n" % (_quoted(change.previous), path)
        if change.content is None:
            return bytes(lines)
    if change.content is None:
        return b"D %s\n" % path
    return bytes(lines) + b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), path, len(change.content), change.content)


def _quoted(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.encode()
