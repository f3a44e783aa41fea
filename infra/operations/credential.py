"""Who can sign in where, and where the password is kept. Values are read only for the one who asks."""

from __future__ import annotations

from dataclasses import dataclass

from infra.clients.bootstrap import derive, read_key
from infra.clients.openbao import OPERATOR, OPERATOR_SECRET, OpenBao
from infra.core.document import nearest
from infra.core.error import BadInputError
from infra.core.naming import GITLAB_ROOT, NEXUS_ADMIN
from infra.core.secret import SecretRef, SecretValue, parse_secret
from infra.core.server_address import ServerAddresses
from infra.core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A way to sign in. `kept` says where its password or token is: a reference, or what it is derived from."""

    name: str
    url: str
    username: str
    kept: str


def credentials(settings: Settings) -> list[Credential]:
    """The administrators of the three servers; of servers that others run, as whom Forgeline configures them."""
    if settings.profile.servers is not None:
        return _given(settings, settings.profile.servers)
    return [
        Credential(
            name="gitlab",
            url=f"{settings.gitlab_url}/users/sign_in",
            username="root",
            kept=str(SecretRef(GITLAB_ROOT, "password")),
        ),
        Credential(
            name="nexus", url=settings.nexus_url, username="admin", kept=str(SecretRef(NEXUS_ADMIN, "password"))
        ),
        Credential(
            name="openbao", url=settings.openbao_url, username=OPERATOR, kept=f"derived from {settings.bootstrap_key}"
        ),
    ]


def password(settings: Settings, name: str) -> SecretValue:
    """The password of the credential `name`. Raises BadInputError for a name that isn't there."""
    known = {credential.name: credential for credential in credentials(settings)}
    if name not in known:
        raise BadInputError(f"there is no credential {name!r}", fix=nearest(name, known))
    if name == "openbao" and not settings.existing:
        return derive(read_key(settings.bootstrap_key), OPERATOR_SECRET.purpose)
    return OpenBao.of(settings).resolve(parse_secret(known[name].kept))


def _given(settings: Settings, servers: ServerAddresses) -> list[Credential]:
    openbao = servers.openbao
    return [
        Credential(name="gitlab", url=settings.gitlab_url, username="(the token's)", kept=servers.gitlab.token),
        Credential(name="nexus", url=settings.nexus_url, username=servers.nexus.username, kept=servers.nexus.password),
        Credential(
            name="openbao",
            url=settings.openbao_url,
            username=openbao.username or "(the token's)",
            kept=openbao.token or openbao.password or "",
        ),
    ]
