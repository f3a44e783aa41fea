"""Servers that were there before Forgeline: where they are, and who it is there.

A profile names where each credential is kept; no value stands in it.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from infra.core.document import InvalidValueError
from infra.core.error import BadInputError
from infra.core.secret import GivenSecret, Keeper


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise InvalidValueError("is not the address of a server", fix="write https://HOST, with the port if it has one")
    if parts.username is not None or parts.password is not None:
        raise InvalidValueError(
            "has a user or password in it", fix="take it out of the address, and name where the credential is kept"
        )
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise InvalidValueError("would send credentials that anybody on the way can read", fix="write https://")
    return text.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _given(text: str) -> str:
    try:
        return str(GivenSecret.parse(text))
    except BadInputError as error:
        # The text is not repeated, nor is it in the chain: it may be the secret itself.
        raise InvalidValueError(error.what, fix=error.fix) from None


ServerUrl = Annotated[str, AfterValidator(_url)]
Given = Annotated[str, AfterValidator(_given)]
"""A `GivenSecret` as text; its value never travels."""

Visibility = Literal["private", "internal"]

GroupPath = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")]


class _Model(BaseModel):
    # What was given may be a secret that stands in the wrong place.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class GitLabAddress(_Model):
    """A GitLab. `token` is of a group, of a service account or of a person, with the scope `api`."""

    url: ServerUrl
    token: Given
    group: GroupPath | None = None
    """The full path of the group under which everything is made; without it, at the top."""
    visibility: Visibility = "private"
    """Who sees what all services share: its members, or with `internal` everybody who is signed in."""


class NexusAddress(_Model):
    """A Nexus, and the user by whom it is configured and short-lived users are made."""

    url: ServerUrl
    username: str = Field(min_length=1)
    password: Given


class OpenBaoAddress(_Model):
    """A Vault or OpenBao. Signs in with a token, or with name and password at the auth method `mount`."""

    url: ServerUrl
    namespace: str = ""
    token: Given | None = None
    username: str | None = None
    password: Given | None = None
    mount: str = "userpass"
    """The auth method of name and password: of type userpass or ldap."""

    @model_validator(mode="after")
    def _one_way_to_sign_in(self) -> Self:
        if (self.token is None) == (self.username is None) or (self.username is None) != (self.password is None):
            raise InvalidValueError("says not just one way to sign in", fix="give token, or username and password")
        for given in (self.token, self.password):
            if given is not None and GivenSecret.parse(given).keeper is Keeper.VAULT:
                raise InvalidValueError(
                    "keeps in Vault what is needed to sign in to it", fix="name a variable (env:) or a file (file:)"
                )
        return self


class ServerAddresses(_Model):
    """The three servers."""

    gitlab: GitLabAddress
    nexus: NexusAddress
    openbao: OpenBaoAddress
