"""Keys, addresses and status of users: one's own, and for administrators everybody's. They open nothing here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.api.deploy_key import ssh_blob
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, moment, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Route, delete, get, post, put
from infra.lab.gitlab.api.user import found as found_user
from infra.lab.gitlab.store.base import stamp
from infra.lab.gitlab.store.user import User
from infra.lab.gitlab.store.user_item import ItemKind, UserItem

Handler = Callable[[Request], Answer]
_ADDRESS = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
_GPG = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def show_item(item: UserItem) -> dict[str, Any]:
    """As its kind is shown."""
    if item.kind == ItemKind.EMAIL:
        return {"id": item.id, "email": item.value, "confirmed_at": stamp(item.created_at)}
    shown = {"id": item.id, "created_at": stamp(item.created_at), "key": item.value}
    if item.kind == ItemKind.GPG_KEY:
        return shown
    expires = stamp(item.expires_at)
    return {**shown, "title": item.title, "expires_at": expires, "last_used_at": None, "usage_type": "auth_and_signing"}


def _owner(request: Request) -> User:
    return found_user(request) if "id" in request.segments else request.user


def _list(kind: ItemKind) -> Handler:
    def handler(request: Request) -> Answer:
        statement = select(UserItem).where(UserItem.user_id == _owner(request).id, UserItem.kind == kind)
        return paginate(request, statement.order_by(UserItem.id), show_item)

    return handler


def _found(request: Request, kind: ItemKind) -> UserItem:
    item = request.session.get(UserItem, request.number("item_id"))
    if item is None or item.kind != kind or item.user_id != _owner(request).id:
        raise not_found("Email" if kind is ItemKind.EMAIL else "Key")
    return item


def _show_one(kind: ItemKind) -> Handler:
    return lambda request: show_item(_found(request, kind))


def _create(kind: ItemKind) -> Handler:
    def handler(request: Request) -> Answer:
        given, field = request.params, "email" if kind is ItemKind.EMAIL else "key"
        value = given[field].strip()
        if not _valid(kind, value):
            raise message(400, {field: ["is invalid"]})
        taken = select(UserItem.id).where(UserItem.kind == kind, UserItem.value == value)
        as_main = select(User.id).where(User.email == value)
        if request.session.scalars(taken).first() or (field == "email" and request.session.scalars(as_main).first()):
            raise message(400, {field: ["has already been taken"]})
        title, ends = given.get("title") or "", given.get("expires_at")
        item = UserItem(user_id=_owner(request).id, kind=kind, value=value, title=title, expires_at=ends)
        request.session.add(item)
        request.session.flush()
        return show_item(item)

    return handler


def _valid(kind: ItemKind, value: str) -> bool:
    match kind:
        case ItemKind.SSH_KEY:
            return ssh_blob(value) is not None
        case ItemKind.GPG_KEY:
            return value.startswith(_GPG)
        case ItemKind.EMAIL:
            return _ADDRESS.fullmatch(value) is not None


def _delete(kind: ItemKind) -> Handler:
    def handler(request: Request) -> Answer:
        request.session.delete(_found(request, kind))
        return None

    return handler


def _status(request: Request) -> Answer:
    kept = _owner(request).profile.get("status") or {}
    text = kept.get("message")
    return {
        "emoji": kept.get("emoji"),
        "message": text,
        "availability": kept.get("availability", "not_set"),
        "message_html": "",
        "clear_status_at": None,
    }


def _set_status(request: Request) -> Answer:
    user = request.user
    user.profile = {**user.profile, "status": {name: value for name, value in request.params.items() if value}}
    return _status(request)


def _routes(base: str, entry: Entry) -> tuple[Route, ...]:
    made: list[Route] = []
    for kind, fields in _FIELDS.items():
        place = f"{base}/{kind}"
        made += [
            get(place, _list(kind), entry=entry),
            post(place, _create(kind), *fields, entry=entry),
            get(f"{place}/:item_id", _show_one(kind), entry=entry),
            delete(f"{place}/:item_id", _delete(kind), entry=entry),
        ]
    return tuple(made)


_FIELDS: dict[ItemKind, tuple[Parameter, ...]] = {
    ItemKind.SSH_KEY: (string("title", required=True), string("key", required=True), moment("expires_at")),
    ItemKind.GPG_KEY: (string("key", required=True),),
    ItemKind.EMAIL: (string("email", required=True),),
}

ROUTES = (
    *_routes("/user", Entry.USER),
    *_routes("/users/:id", Entry.ADMIN),
    get("/user/status", _status),
    put(
        "/user/status",
        _set_status,
        string("emoji"),
        string("message"),
        string("availability", values=("not_set", "busy")),
    ),
    get("/users/:id/status", _status),
)
