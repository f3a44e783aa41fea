"""A server, described once: what runs, with which files, secrets, ports and data, and how real use proves it ready.

Pure data that goes through JSON unharmed (`model_dump(mode="json")`, `model_validate`): a placement turns it into a
process, a container or a workload. Secrets are named here, never held.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from infra.core.secret import parse_secret

ServerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]


def _is_reference(text: str) -> str:
    return str(parse_secret(text))


Secrets = dict[str, Annotated[str, AfterValidator(_is_reference)]]
"""Placeholder (without its braces) to a reference: `openbao:PATH#FIELD` or `derived:PURPOSE[#FORM]`."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Template(_Model):
    content: str
    secrets: Secrets = {}

    @model_validator(mode="after")
    def _names_every_placeholder(self) -> Self:
        missing = [name for name in self.secrets if placeholder(name) not in self.content]
        if missing:
            raise ValueError(f"the content has no placeholder for {', '.join(missing)}")
        return self


class ConfigFile(_Template):
    """A file that is written before the server starts. `{{NAME}}` in its content stands for a secret's value."""

    path: str
    mode: int = 0o600
    first_start_only: bool = False
    """Written before the first start, and removed as soon as the server is ready."""
    live: bool = False
    """Read whenever it is used: another content needs no other start."""


class Folder(_Model):
    """A folder that must be there before the server starts."""

    path: str
    mode: int = 0o700


class Listener(_Model):
    """A TCP port that the server listens on."""

    name: str
    number: int
    address: str = "127.0.0.1"


class Credential(_Model):
    """A KV entry that must be there before the server's first start: what is missing of it is generated."""

    path: str
    fixed: dict[str, str] = {}
    """Fields that are no secret, such as the user's name."""
    generated: dict[str, str] = {}
    """Field to the prefix of its random value."""


class Preparation(_Template):
    """A command that is run to its end before each start, with `content` on its standard input. Twice is harmless."""

    command: tuple[str, ...]
    environment: dict[str, str] = {}


class FirstUse(_Template):
    """A command that is run inside the server once, after its first start, with `content` on its standard input.

    A first start that was cut off is made again, and the command with it: twice is harmless.
    """

    answers: str
    """The URL that answers 200 as soon as the command can be run."""
    command: tuple[str, ...]


class Probe(StrEnum):
    """How real use proves a server ready."""

    OPENBAO = "openbao"
    """Unsealed, and the operator's login works."""
    NEXUS = "nexus"
    """Writable, and the administrator's own request is answered."""
    GITLAB = "gitlab"
    """Ready, and the version is told to the administrator's token."""
    RUNNER = "runner"
    """GitLab calls the runner of this name online."""
    HTTP = "http"
    """`url` answers 200."""


class Readiness(_Model):
    """What to ask until the server is of use, and for how long (seconds)."""

    probe: Probe
    url: str
    secrets: Secrets = {}
    subject: str = ""
    """The runner's description."""
    first_password_file: str = ""
    """Where the server leaves the random password of its first start, which is replaced as soon as it answers."""
    timeout: float = 180.0
    tells: bool = False
    """Whether its last line says how far it is: shown while it is waited for."""


class Server(_Model):
    """One of the stack's servers."""

    name: ServerName
    version: str
    command: tuple[str, ...]
    environment: dict[str, str] = {}
    """Nothing secret: it can be read in the process list's details."""
    working_folder: str
    folders: tuple[Folder, ...] = ()
    files: tuple[ConfigFile, ...] = ()
    listeners: tuple[Listener, ...] = ()
    needs: tuple[ServerName, ...] = ()
    """Servers that must be ready first."""
    credentials: tuple[Credential, ...] = ()
    preparations: tuple[Preparation, ...] = ()
    first_uses: tuple[FirstUse, ...] = ()
    stop_signal: str = "TERM"
    stop_seconds: int = 15
    start_seconds: int = 1
    """How long the process must live to count as started."""
    open_files: int = 4096
    memory_mib: int = 128
    """What it takes at rest, measured: a hint for placements that reserve memory."""
    readiness: Readiness
    health: tuple[str, ...] = ()
    """A cheap command, run where the server is, that fails when it is not well: for engines that ask by themselves."""
    started_once: str = ""
    """A file that is made when the first start has ended well."""
    unfinished: tuple[str, ...] = ()
    """Folders that are set aside when the first start did not end well: the server can't go on from them."""
    log: str

    @property
    def digest(self) -> str:
        """Tells whether two descriptions are the same, in 16 hexadecimal digits."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def placeholder(name: str) -> str:
    """How a template spells the place of the secret `name`."""
    return "{{" + name + "}}"
