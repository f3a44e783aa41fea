"""As whom OpenBao is spoken to, and how that one signs in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import hvac

from infra.clients.given import read_given
from infra.core.secret import GivenSecret, SecretValue
from infra.core.server_address import OpenBaoAddress


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who signs in, and how. `fix` is what to do when it is refused."""

    name: str
    sign_in: Callable[[hvac.Client], None]
    fix: str


def named(username: str, *, password: Callable[[], SecretValue], fix: str, mount: str = "userpass") -> Identity:
    """Somebody with a name and a password at the auth method `mount`, of type userpass or ldap."""

    def sign_in(client: hvac.Client) -> None:
        client.auth.userpass.login(username, password().reveal(), mount_point=mount)

    return Identity(name=username, sign_in=sign_in, fix=fix)


def identity_of(server: OpenBaoAddress) -> Identity:
    """Who the profile says. What it names is read at each sign-in: a token in a file may be renewed meanwhile."""
    fix = "look at servers.openbao in the profile, and at what it names"
    if server.token is None:
        password = GivenSecret.parse(server.password or "")
        return named(server.username or "", password=lambda: read_given(password), fix=fix, mount=server.mount)
    token = GivenSecret.parse(server.token)

    def sign_in(client: hvac.Client) -> None:
        client.token = read_given(token).reveal()

    return Identity(name=f"the token in {token}", sign_in=sign_in, fix=fix)
