"""Members of groups and projects."""

from __future__ import annotations

from infra.clients.gitlab import absent
from infra.provider.connection import Connections
from infra.provider.gitlab.holder import Held, holder
from infra.provider.gitlab.level import NAME, NUMBER, Level
from infra.provider.gitlab.removal import delete_absent_ok
from infra.provider.kind import Fields, Found, Kind


class Member(Held):
    """A direct member of a group or project."""

    username: str
    access_level: Level
    expires_at: str | None = None
    """The day on which the membership ends, YYYY-MM-DD."""


def _read(connections: Connections, wanted: Member) -> Found | None:
    user = connections.gitlab().user(wanted.username)
    server = absent(lambda: holder(connections, wanted).members.get(user.id))
    if server is None:
        return None
    return Found(
        fields={
            "holder_type": wanted.holder_type,
            "holder": wanted.holder,
            "username": server.username,
            "access_level": NAME.get(server.access_level, str(server.access_level)),
            "expires_at": server.expires_at,
        },
        computed={"user_id": user.id},
    )


def _create(connections: Connections, wanted: Member) -> Fields:
    user = connections.gitlab().user(wanted.username)
    values = {"user_id": user.id, "access_level": NUMBER[wanted.access_level], "expires_at": wanted.expires_at}
    holder(connections, wanted).members.create({name: value for name, value in values.items() if value is not None})
    return {"user_id": user.id}


def _update(connections: Connections, _old: Fields, wanted: Member) -> Fields:
    user = connections.gitlab().user(wanted.username)
    values = {"access_level": NUMBER[wanted.access_level], "expires_at": wanted.expires_at or ""}
    holder(connections, wanted).members.update(user.id, values)
    return {"user_id": user.id}


def _delete(connections: Connections, wanted: Member) -> None:
    user = connections.gitlab().user(wanted.username)
    delete_absent_ok(lambda: holder(connections, wanted).members.delete(user.id))


MEMBER = Kind(
    type_name="forgeline:gitlab:Member",
    inputs=Member,
    key=("holder_type", "holder", "username"),
    computed={"user_id": int},
    read=_read,
    create=_create,
    update=_update,
    delete=_delete,
)
