"""What a whole Nexus has once: its licence agreement, active realms, anonymous access; and its cleanup policies."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind, nothing_to_delete

AUTHORIZING_REALM = "NexusAuthorizingRealm"


class Agreement(Inputs):
    """The licence agreement of Nexus's Community Edition, accepted. It stays so when the resource is removed.

    Where it has to be accepted and `accept` is not given, making the resource fails and says what to do.
    """

    name: Literal["eula"] = "eula"
    accept: bool = False
    """Whether a person decided to."""


class Realms(Inputs):
    """The active realms, in the order in which they are asked. Removing the resource leaves them as they are.

    The authorizing realm is not among them: some versions list it and must keep it, others (3.71) have it always.
    """

    name: Literal["active"] = "active"
    realms: list[str] = Field(min_length=1)

    @field_validator("realms")
    @classmethod
    def _authorizing_is_implied(cls, realms: list[str]) -> list[str]:
        if AUTHORIZING_REALM in realms:
            raise ValueError(f"leave out {AUTHORIZING_REALM}: it is always kept")
        return realms


class AnonymousAccess(Inputs):
    """Whether someone who has not signed in may read. Removing the resource leaves it as it is."""

    name: Literal["anonymous"] = "anonymous"
    enabled: bool = False
    user_id: str = "anonymous"
    realm: str = AUTHORIZING_REALM


class CleanupPolicy(Inputs):
    """What may be removed: everything that meets all of the criteria given. Ages are days."""

    name: str
    format: str
    notes: str = ""
    last_blob_updated: int | None = None
    last_downloaded: int | None = None
    release_type: Literal["RELEASES", "PRERELEASES"] | None = None
    asset_regex: str | None = None


_CRITERIA = {
    "last_blob_updated": "criteriaLastBlobUpdated",
    "last_downloaded": "criteriaLastDownloaded",
    "release_type": "criteriaReleaseType",
    "asset_regex": "criteriaAssetRegex",
}


def _read_agreement(connections: Connections, _wanted: Agreement) -> Found | None:
    return Found(fields={"name": "eula"}) if connections.nexus().may_serve() else None


def _accept_agreement(connections: Connections, wanted: Agreement) -> Fields:
    connections.nexus().settle_agreement(accept=wanted.accept)
    return {}


def _read_realms(connections: Connections, _wanted: Realms) -> Found:
    realms = [realm for realm in connections.nexus().realms() if realm != AUTHORIZING_REALM]
    return Found(fields={"name": "active", "realms": realms})


def _write_realms(connections: Connections, wanted: Realms) -> Fields:
    nexus = connections.nexus()
    kept = [AUTHORIZING_REALM] if AUTHORIZING_REALM in nexus.realms() else []
    nexus.put_realms([*wanted.realms, *kept])
    return {}


def _read_anonymous(connections: Connections, _wanted: AnonymousAccess) -> Found:
    server = connections.nexus().anonymous()
    fields = {"enabled": server["enabled"], "user_id": server["userId"], "realm": server["realmName"]}
    return Found(fields={"name": "anonymous", **fields})


def _write_anonymous(connections: Connections, wanted: AnonymousAccess) -> Fields:
    connections.nexus().put_anonymous({"enabled": wanted.enabled, "userId": wanted.user_id, "realmName": wanted.realm})
    return {}


def _read_policy(connections: Connections, wanted: CleanupPolicy) -> Found | None:
    server = connections.nexus().cleanup_policy(wanted.name)
    if server is None:
        return None
    fields = {field: _criterion(server.get(word)) for field, word in _CRITERIA.items()}
    return Found(
        fields={"name": server["name"], "format": server["format"], "notes": server.get("notes") or "", **fields}
    )


def _criterion(value: Any) -> Any:
    """A criterion as this API gives it: ages come as numbers or as digits."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


def _write_policy(connections: Connections, wanted: CleanupPolicy) -> Fields:
    given = wanted.model_dump(exclude_none=True)
    body = {word: given.get(field) for field, word in _CRITERIA.items()}
    connections.nexus().put_cleanup_policy(
        {"name": wanted.name, "format": wanted.format, "notes": wanted.notes, **body}
    )
    return {}


def _delete_policy(connections: Connections, wanted: CleanupPolicy) -> None:
    connections.nexus().delete_cleanup_policy(wanted.name)


AGREEMENT = Kind(
    type_name="forgeline:nexus:Agreement",
    inputs=Agreement,
    key=("name",),
    write_only=frozenset({"accept"}),
    read=_read_agreement,
    create=_accept_agreement,
    update=lambda connections, _old, wanted: _accept_agreement(connections, wanted),
    delete=nothing_to_delete,
)
ANONYMOUS_ACCESS = Kind(
    type_name="forgeline:nexus:AnonymousAccess",
    inputs=AnonymousAccess,
    key=("name",),
    read=_read_anonymous,
    create=_write_anonymous,
    update=lambda connections, _old, wanted: _write_anonymous(connections, wanted),
    delete=nothing_to_delete,
)
CLEANUP_POLICY = Kind(
    type_name="forgeline:nexus:CleanupPolicy",
    inputs=CleanupPolicy,
    key=("name",),
    replace=frozenset({"format"}),
    read=_read_policy,
    create=_write_policy,
    update=lambda connections, _old, wanted: _write_policy(connections, wanted),
    delete=_delete_policy,
)
REALMS = Kind(
    type_name="forgeline:nexus:Realms",
    inputs=Realms,
    key=("name",),
    read=_read_realms,
    create=_write_realms,
    update=lambda connections, _old, wanted: _write_realms(connections, wanted),
    delete=nothing_to_delete,
)
