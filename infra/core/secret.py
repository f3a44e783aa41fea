"""References to secrets, and the key that the rest is derived from.

A `SecretRef` travels through settings, programs and Pulumi's state; only `infra.clients` turns it into a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from infra.core.error import BadInputError

_PATTERN = re.compile(r"openbao:(?P<path>[a-z0-9][a-z0-9/_.-]*)#(?P<field>[a-z0-9_]+)")


@dataclass(frozen=True)
class SecretRef:
    """A place in OpenBao's KV store (mount `forgeline`): `openbao:PATH#FIELD`."""

    path: str
    field: str

    def __str__(self) -> str:
        return f"openbao:{self.path}#{self.field}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The reference that `text` spells. Raises BadInputError for anything else."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise BadInputError(
                f"{text!r} is not a reference to a secret",
                fix="write openbao:PATH#FIELD, for example openbao:platform/gitlab-root#token",
            )
        return cls(match["path"], match["field"])


_DERIVED = re.compile(r"derived:(?P<purpose>[a-z][a-z0-9-]*)(#(?P<form>hex|pem))?")


class Form(StrEnum):
    """How a derived secret is written."""

    TEXT = "text"
    """43 URL-safe characters."""
    HEX = "hex"
    """64 hexadecimal digits."""
    PEM = "pem"
    """A private key on the curve P-256."""


@dataclass(frozen=True)
class DerivedSecret:
    """A secret that is derived from the bootstrap key for one purpose: `derived:PURPOSE`, or `derived:PURPOSE#FORM`."""

    purpose: str
    form: Form = Form.TEXT

    def __str__(self) -> str:
        return f"derived:{self.purpose}" + (f"#{self.form}" if self.form is not Form.TEXT else "")


class Keeper(StrEnum):
    """Who keeps a secret that was there before Forgeline."""

    ENVIRONMENT = "env"
    FILE = "file"
    VAULT = "vault"


_GIVEN = re.compile(
    r"(?P<environment>env):(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<file>file):(?P<path>(?:/|~/)[^\n]+)"
    r"|(?P<vault>vault):(?P<entry>[^#\s/][^#\s]*/[^#\s]*[^#\s/])#(?P<field>[^#\s]+)"
)


@dataclass(frozen=True)
class GivenSecret:
    """A secret that its owner keeps: `env:NAME`, `file:/PATH`, or `vault:MOUNT/PATH#FIELD` of a KV engine.

    `place` is the variable, the file, or the entry with its mount; `field` is of an entry only.
    """

    keeper: Keeper
    place: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.keeper}:{self.place}" + (f"#{self.field}" if self.field else "")

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `text` spells. Raises BadInputError for anything else, without repeating it: it may be the secret."""
        match = _GIVEN.fullmatch(text)
        if match is None:
            raise BadInputError(
                "does not name where the secret is kept",
                fix="write env:VARIABLE, file:/PATH, or vault:MOUNT/PATH#FIELD; never the secret itself",
            )
        if match["environment"]:
            return cls(Keeper.ENVIRONMENT, match["name"])
        if match["file"]:
            return cls(Keeper.FILE, match["path"])
        return cls(Keeper.VAULT, match["entry"], match["field"])


Secret = SecretRef | DerivedSecret | GivenSecret
"""A secret, by what names it."""


def parse_secret(text: str) -> Secret:
    """The reference that `text` spells, of any sort. Raises BadInputError for anything else."""
    match = _DERIVED.fullmatch(text)
    if match:
        return DerivedSecret(match["purpose"], Form(match["form"] or Form.TEXT))
    given = text.partition(":")[0] in set(Keeper)
    return GivenSecret.parse(text) if given else SecretRef.parse(text)


class SecretValue:
    """A secret's value that does not show itself in a repr, a format string or a traceback."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself; call it only where it is handed to a server."""
        return self._value

    def __repr__(self) -> str:
        return "SecretValue(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretValue) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)
