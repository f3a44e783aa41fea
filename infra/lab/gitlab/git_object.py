"""What a repository is made of: commits, entries, refs, differences; and which names and paths are valid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

_BRANCH_NAME = re.compile(r"(?![-/.])(?!.*(?:\.\.|//|@\{|/\.|\.lock(?:/|$)))[^\x00-\x20~^:?*\[\\\x7f]{1,255}(?<![/.])")


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit. Dates are ISO 8601 with their zone."""

    sha: str
    parents: tuple[str, ...]
    author_name: str
    author_email: str
    authored_date: str
    committer_name: str
    committer_email: str
    committed_date: str
    message: str

    @property
    def title(self) -> str:
        """The first line of the message."""
        return self.message.strip().partition("\n")[0][:255]

    @property
    def description(self) -> str:
        """The message without its first line."""
        return self.message.strip().partition("\n")[2].strip()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file (`blob`), folder (`tree`) or submodule (`commit`)."""

    mode: str
    type: str
    sha: str
    path: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, kw_only=True)
class Ref:
    """A branch or tag. `sha` is the commit, `target` the object (an annotated tag's own object)."""

    name: str
    sha: str
    target: str
    message: str
    created_at: str | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One file's change in a new commit. `content` None removes it, or, with `previous`, moves it as it is."""

    path: str
    content: bytes | None = None
    previous: str | None = None
    executable: bool | None = None


@dataclass(frozen=True, kw_only=True)
class FileDiff:
    """One file's difference between two commits. `text` is the unified diff without its header."""

    old_path: str
    new_path: str
    old_mode: str
    new_mode: str
    status: str
    """Git's letter: A, D, M, R, T."""
    text: str

    @property
    def added(self) -> bool:
        """The file is new."""
        return self.status == "A"

    @property
    def deleted(self) -> bool:
        """The file is gone."""
        return self.status == "D"

    @property
    def renamed(self) -> bool:
        """The file has moved."""
        return self.status == "R"


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who wrote a commit."""

    name: str
    email: str

    def line(self, seconds: int) -> str:
        """As git writes it; characters that would end the field early are left out."""
        name = re.sub(r"[<>\n\x00]", "", self.name).strip() or "Unknown"
        email = re.sub(r"[<>\s\x00]", "", self.email)
        return f"{name} <{email}> {seconds} +0000"


def valid_ref_name(name: str) -> bool:
    """Whether git takes it for a branch or tag, and no revision could be mistaken for it."""
    return _BRANCH_NAME.fullmatch(name) is not None and not re.fullmatch(r"[0-9a-f]{40}|@|HEAD", name)


def valid_path(path: str) -> bool:
    """Whether a file may have this path: no empty part, `.`, `..` or `.git` in it (git reads some as relative)."""
    parts = path.split("/")
    forbidden = {"", ".", "..", ".git"}
    return bool(path) and "\0" not in path and not any(part.lower() in forbidden for part in parts)
