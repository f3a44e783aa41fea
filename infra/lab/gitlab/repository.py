"""A project's repository: what is in it, and new commits made on the server.

A bare repository `ID.git` that only git touches. Revisions come from clients, so only plain ones are let through.
"""

from __future__ import annotations

import bz2
import os
import re
import shutil
from collections.abc import Sequence

from infra.lab.gitlab import git
from infra.lab.gitlab.git import NO_OBJECT, GitError
from infra.lab.gitlab.git_memory import recall
from infra.lab.gitlab.git_object import (
    Change,
    Commit,
    Entry,
    Ref,
    Signature,
    valid_path,
    valid_ref_name,
)
from infra.lab.gitlab.git_reader import HASH, Reader

_REVISION = re.compile(r"(?!-)[^\x00-\x20~^:?*\[\\\x7f]{1,1024}(?:[~^][0-9]{0,6}){0,20}")


class StaleRefError(Exception):
    """The ref no longer points to what the change was made from."""


class Repository(Reader):
    """A bare repository at `path`."""

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
        if head := self._head(revision):
            return head
        candidates = [revision] if HASH.fullmatch(revision) else [f"refs/heads/{revision}", revision]
        asked = "".join(f"{candidate}^{{commit}}\0" for candidate in candidates)
        answers = git.run(self.path, "cat-file", "--batch-check", "-z", stdin=asked.encode()).decode("utf-8", "replace")
        for answer in answers.splitlines():
            sha, _, rest = answer.partition(" ")
            if rest.startswith("commit ") and HASH.fullmatch(sha):
                return sha
        return None

    def _known(self, revision: str) -> str | None:
        """A full hash as it is (what reads it finds out whether it is there), anything else resolved."""
        return revision if HASH.fullmatch(revision) else self.resolve(revision)

    def _head(self, branch: str) -> str | None:
        """Where a branch points, by git's own file of it; None where git packed it away, or there is none."""
        if not valid_ref_name(branch):
            return None
        try:
            sha = (self.path / "refs" / "heads" / branch).read_text().strip()
        except (OSError, UnicodeError):
            return None
        return sha if HASH.fullmatch(sha) else None

    def refs(self) -> dict[str, str]:
        """Object by full name, of all branches and tags."""
        return self._names("refs/heads", "refs/tags", errors="surrogateescape")

    def _names(self, *folders: str, errors: str = "replace") -> dict[str, str]:
        lines = git.run(self.path, "for-each-ref", "--format=%(objectname) %(refname)", *folders)
        pairs = (line.split(" ", 1) for line in lines.decode("utf-8", errors).splitlines())
        return {ref: sha for sha, ref in pairs}

    def branches(self) -> list[Ref]:
        """All branches by name."""
        return [_branch(ref.removeprefix("refs/heads/"), sha) for ref, sha in self._names("refs/heads").items()]

    def tags(self) -> list[Ref]:
        """All tags by name."""
        return self._list_refs("refs/tags")

    def branch(self, name: str) -> Ref | None:
        """One branch."""
        sha = self._head(name)
        return _branch(name, sha) if sha else self._one_ref("refs/heads", name)

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
        found = self.blob(revision, path)
        return found[1] if found else None

    def blob(self, revision: str, path: str) -> tuple[str, bytes] | None:
        """A file's hash and content."""
        sha = self._known(revision)
        return self.blob_at(sha, path) if sha and valid_path(path) else None

    def list_files(self, revision: str) -> list[str]:
        """The paths of all files; none for a revision that isn't there."""
        return [entry.path for entry in self.tree(revision, recursive=True) or [] if entry.type != "tree"]

    def tree(self, revision: str, path: str = "", *, recursive: bool = False) -> list[Entry] | None:
        """What is in a folder; None when there is no such revision or folder."""
        sha = self._known(revision)
        path = path.strip("/")
        if sha is None or (path and not valid_path(path)):
            return None
        entries = self.tree_at(sha, path, recursive=recursive)
        return None if entries is None else list(entries)

    def file_mode(self, revision: str, path: str) -> str | None:
        """`100644`, `100755`, … of a file."""
        sha = self._known(revision)
        return self.mode_at(sha, path) if sha and valid_path(path) else None

    def archive(self, revision: str, kind: str, prefix: str, path: str = "") -> bytes | None:
        """An archive (`tar.gz`, `tar.bz2`, `zip`, `tar`) of a commit's files below `prefix`."""
        sha = self.resolve(revision)
        if sha is None:
            return None
        paths = ["--", path] if path else []
        # Git itself has no bzip2.
        known = "tar" if kind == "tar.bz2" else kind
        made = git.attempt(self.path, "archive", f"--format={known}", f"--prefix={prefix}/", sha, *paths)
        return bz2.compress(made) if made is not None and kind == "tar.bz2" else made

    # Commits

    def commit(self, revision: str) -> Commit | None:
        """One commit."""
        known: Commit | None = recall((self.path, revision))
        if known is not None:
            return known
        sha = self.resolve(revision)
        return self.commits_at([sha])[sha] if sha else None

    def blame(self, revision: str, path: str) -> list[tuple[str, list[str]]]:
        """A file's lines in runs, each with the commit that wrote it last; none for a file that isn't there."""
        sha = self._known(revision)
        if sha is None or not valid_path(path):
            return []
        text = git.attempt(self.path, "blame", "--line-porcelain", sha, "--", path)
        runs: list[tuple[str, list[str]]] = []
        writer = ""
        for line in (text or b"").decode("utf-8", "replace").split("\n"):
            if line.startswith("\t"):
                if not runs or runs[-1][0] != writer:
                    runs.append((writer, []))
                runs[-1][1].append(line[1:])
            elif HASH.match(line):
                writer = line[:40]
        return runs

    def containing(self, sha: str, folder: str) -> list[str]:
        """Names of the branches (`refs/heads`) or tags (`refs/tags`) that contain a commit."""
        listed = git.run(self.path, "for-each-ref", f"--contains={sha}", "--format=%(refname:lstrip=2)", folder)
        return listed.decode("utf-8", "replace").splitlines()

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


def _branch(name: str, sha: str) -> Ref:
    return Ref(name=name, sha=sha, target=sha, message="", created_at=None)


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
