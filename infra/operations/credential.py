"""Who can sign in where, and where the password is kept. Values are read only for the one who asks."""

from __future__ import annotations

from dataclasses import dataclass

from infra.clients.bootstrap import derive, read_key
from infra.clients.openbao import OPERATOR, OPERATOR_SECRET, OpenBao
from infra.core.document import nearest
from infra.core.error import BadInputError
from infra.core.naming import GITLAB_ROOT, NEXUS_ADMIN
from infra.core.secret import SecretRef, SecretValue
from infra.core.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A way to sign in. `kept` says where its password is: a reference into OpenBao, or what it is derived from."""

    name: str
    url: str
    username: str
    kept: str


def credentials(settings: Settings) -> list[Credential]:
    """The administrators of the three servers."""
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
    if name == "openbao":
        return derive(read_key(settings.bootstrap_key), OPERATOR_SECRET.purpose)
    return OpenBao.of(settings).resolve(SecretRef.parse(known[name].kept))
