"""A way to a container engine on another machine: a socket here that leads to its socket there.

It is made by this machine's own `ssh`, so that its configuration, keys, agent and known hosts count as they do by hand,
and what `ssh` says can be told. Nothing but a login and the engine's socket is needed there.
"""

from __future__ import annotations

import select
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit

from infra.core.error import BadInputError, ServerError

ENGINE_SOCKET = "/var/run/docker.sock"
"""Where an engine listens if nobody says otherwise."""

PATIENCE = 30.0
"""Seconds until the login must be through."""

READY = b"forgeline: the way is open"
LAST_CHARACTERS = 500


class SshTunnel:
    """Make it with `to`; `close` it in the end. When this process dies, the tunnel ends with it."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._folder = folder

    @classmethod
    def to(cls, address: str) -> Self:
        """The tunnel to `ssh://[USER@]HOST[:PORT][/PATH/OF/THE/SOCKET]`, open when this returns.

        Raises BadInputError for another address, and ServerError with what `ssh` says where there is no way through.
        """
        place = _place(address)
        folder = Path(tempfile.mkdtemp(prefix="forgeline-ssh-"))
        try:
            with (folder / "said").open("wb") as said:
                # Without a buffer: what was read ahead could not be waited for.
                process = subprocess.Popen(
                    _command(place, folder / "socket"),
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                )
        except FileNotFoundError as error:
            shutil.rmtree(folder, ignore_errors=True)
            fix = "sudo apt-get install -y openssh-client"
            raise ServerError("there is no `ssh` on this machine", where=address, fix=fix) from error
        self = cls(process, folder)
        if not self._opened():
            said_there = self.said
            self.close()
            raise _failed(place, address, said_there)
        return self

    @property
    def host(self) -> str:
        """The engine's address on this side, as `DOCKER_HOST` has it."""
        return f"unix://{self._folder / 'socket'}"

    @property
    def said(self) -> str:
        """The last of what `ssh` said."""
        return (self._folder / "said").read_text(errors="replace").strip()[-LAST_CHARACTERS:]

    def close(self) -> None:
        """Ends the tunnel."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _opened(self) -> bool:
        """Whether the other side said so in time; a login may print its own lines before."""
        output = self._process.stdout
        assert output is not None  # noqa: S101 - it was asked for
        while select.select([output], [], [], PATIENCE)[0]:
            line = output.readline()
            if not line:
                return False
            if line.strip() == READY:
                return True
        return False


def _place(address: str) -> SplitResult:
    place = urlsplit(address)
    try:
        usable = place.scheme == "ssh" and bool(place.hostname) and place.password is None and place.port != 0
    except ValueError:
        usable = False
    if not usable:
        fix = "write ssh://USER@HOST or ssh://USER@HOST:PORT; a password can't be given"
        raise BadInputError("this is no address of an engine behind SSH", where="DOCKER_HOST", fix=fix)
    return place


def _command(place: SplitResult, socket: Path) -> list[str]:
    options = ["BatchMode=yes", "ExitOnForwardFailure=yes", "ConnectTimeout=10", "ControlPath=none"]
    return [
        "ssh",
        "-T",
        *(word for option in options for word in ("-o", option)),
        *(("-l", place.username) if place.username else ()),
        *(("-p", str(place.port)) if place.port else ()),
        "-L",
        f"{socket}:{place.path.rstrip('/') or ENGINE_SOCKET}",
        "--",
        str(place.hostname),
        # It ends with its input, which is this process's.
        f"echo '{READY.decode()}'; exec cat",
    ]


def _failed(place: SplitResult, address: str, said: str) -> ServerError:
    user = f"{place.username}@" if place.username else ""
    by_hand = f"ssh {f'-p {place.port} ' if place.port else ''}{user}{place.hostname} true"
    if "Host key verification failed" in said:
        what, fix = "this machine does not know the other's key", f"compare it and accept it once: `{by_hand}`"
    elif "Permission denied" in said:
        what = "the other machine lets nobody in with this machine's keys"
        fix = f"put your public key there (`ssh-copy-id`), or load the right one (`ssh-add`), until `{by_hand}` works"
    else:
        what, fix = "there is no way to the engine's machine", f"see that `{by_hand}` works"
    return ServerError(what, where=address, fix=fix, detail=said)
