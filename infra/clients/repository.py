"""A git repository that somebody else made: cloned with bounds, looked at without a work tree, pushed with a token.

Nothing of the repository is run: no hook, no filter, no submodule; and what its content says is only read.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from infra.core.error import BadInputError, ServerError
from infra.core.progress import Progress
from infra.core.secret import SecretValue

SIZE_LIMIT = 500_000_000
"""Bytes that a repository may have as git keeps it."""

TIMEOUT = 300.0
"""Seconds that a clone or a push may take."""

TEXT_LIMIT = 1_000_000
"""Bytes of a file that is read."""

_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=20",
    # Of git's transports only these: `ext::` would run a program.
    "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
    "LC_ALL": "C",
}
_SAFE = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false", "-c", "gc.auto=0")


@dataclass(frozen=True)
class Repository:
    """A bare clone. `source` is where it came from; `trusted` a file of authorities, if they are not git's own."""

    folder: Path
    source: str
    trusted: Path | None = None

    @property
    def empty(self) -> bool:
        """Whether it has no commit."""
        return self._run("rev-parse", "--verify", "-q", "HEAD^{commit}").returncode != 0

    @cached_property
    def paths(self) -> frozenset[str]:
        """The files of the last commit."""
        return frozenset(filter(None, self._git("ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0")))

    @cached_property
    def commit(self) -> str:
        """The last commit's id."""
        return self._git("rev-parse", "--verify", "HEAD").strip()

    def read(self, path: str) -> str:
        """A file of the last commit, or nothing where there is none or it is longer than `TEXT_LIMIT`."""
        done = self._run("cat-file", "--batch-check", input_text=f"HEAD:{path}\n")
        size = re.fullmatch(r"[0-9a-f]+ blob ([0-9]+)\n", done.stdout)
        return self._git("cat-file", "blob", f"HEAD:{path}") if size and int(size[1]) <= TEXT_LIMIT else ""

    def mentions(self, text: str, suffix: str) -> bool:
        """Whether a file of the last commit whose name ends with `suffix` has the text in it."""
        return self._run("grep", "-qIF", "-e", text, "HEAD", "--", f"*{suffix}").returncode == 0

    def push(self, url: str, token: SecretValue, branch: str) -> None:
        """Brings the last commit, with its history, to a branch of an empty repository; starts no pipeline.

        Raises ServerError with what git says. The token is in no argument: git is given it in its environment.
        """
        credential = base64.b64encode(f"oauth2:{token.reveal()}".encode()).decode()
        header = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {credential}",
        }
        done = self._run("push", "-q", "-o", "ci.skip", url, f"HEAD:refs/heads/{branch}", environment=header)
        if done.returncode:
            raise ServerError(
                "the history could not be pushed", where=url, detail=_last_lines(done.stderr), fix="see GitLab's log"
            )

    def _git(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode:
            raise BadInputError("can't be read by git", where=self.source, detail=_last_lines(done.stderr))
        return done.stdout

    def _run(
        self, *arguments: str, input_text: str = "", environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *_SAFE, *arguments],
            cwd=self.folder,
            env={**_environment(self.trusted), **(environment or {})},
            input=input_text,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )


@contextmanager
def cloned(source: str, progress: Progress, trusted: Path | None = None) -> Iterator[Repository]:
    """A bare clone in a temporary folder. Raises BadInputError for what is no repository, out of reach, or too big."""
    address = check_source(source)
    with tempfile.TemporaryDirectory(prefix="forgeline-adopt-") as temporary:
        folder = Path(temporary) / "repository.git"
        progress.start(source, "cloning")
        _clone(address, source, folder, trusted)
        repository = Repository(folder, source, trusted)
        if repository.empty:
            raise BadInputError("has no commit", where=source, fix="adopt a repository with code, or leave --from out")
        progress.done(source, f"{len(repository.paths)} files at {repository.commit[:12]}")
        yield repository


def check_source(source: str) -> str:
    """What git is to clone. Raises BadInputError for what is neither a folder nor an address without a password."""
    if re.match(r"[a-z+]+://[^/@]*:[^/@]*@", source):
        raise BadInputError(
            "the address has a password in it, which would be seen by everybody on this machine",
            where="--from",
            fix="clone it yourself, and give the folder",
        )
    if re.match(r"(https?|ssh)://[^/]+/.", source):
        return source
    folder = Path(source)
    if source.startswith("-") or "::" in source or not folder.is_dir():
        raise BadInputError(
            f"{source!r} is neither a folder nor an address that begins with https://, http:// or ssh://",
            where="--from",
            fix="give a git repository's folder or address",
        )
    return folder.resolve().as_uri()


def _clone(address: str, source: str, folder: Path, trusted: Path | None) -> None:
    command = ["git", *_SAFE, "clone", "-q", "--bare", "--single-branch", "--no-tags", "--", address, str(folder)]
    deadline = time.monotonic() + TIMEOUT
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            command,
            env=_environment(trusted),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise BadInputError(f"could not be cloned in {TIMEOUT:.0f} s", where=source)
                if _size(folder) > SIZE_LIMIT:
                    raise BadInputError(f"has more than {SIZE_LIMIT // 1_000_000} MB of history", where=source)
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)
                process.wait()
        if process.returncode:
            said.seek(0)
            raise BadInputError(
                "can't be cloned",
                where=source,
                detail=_last_lines(said.read()),
                fix="look at the address, and who may read it",
            )


def _environment(trusted: Path | None) -> dict[str, str]:
    """What git runs with: nobody is asked, no configuration of the machine or the user counts."""
    return {**os.environ, **_ENVIRONMENT, **({} if trusted is None else {"GIT_SSL_CAINFO": str(trusted)})}


def _size(folder: Path) -> int:
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                size += (Path(place) / name).lstat().st_size
            except FileNotFoundError:
                continue
    return size


def _last_lines(text: str) -> str:
    return "\n".join(line for line in text.strip().splitlines()[-5:])
