"""Whose SSH key it is, for administrators: users' keys and deploy keys."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.api.deploy_key import fingerprints, show_key
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.parameter import string
from infra.lab.gitlab.api.route import Answer, Entry, Request, get
from infra.lab.gitlab.api.user import show_whole
from infra.lab.gitlab.api.user_item import show_item
from infra.lab.gitlab.store.deploy_key import DeployKey
from infra.lab.gitlab.store.user import User
from infra.lab.gitlab.store.user_item import ItemKind, UserItem

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}|(?:MD5:)?[0-9a-f]{2}(?::[0-9a-f]{2}){15}")


def _show_one(request: Request) -> Answer:
    item = request.session.get(UserItem, request.number("key_id"))
    if item is None or item.kind != ItemKind.SSH_KEY:
        raise not_found()
    return _show(request, item)


def _find(request: Request) -> Answer:
    wanted = request.params["fingerprint"]
    if not _FINGERPRINT.fullmatch(wanted):
        raise message(400, "Failed to return the key")
    wanted = wanted.removeprefix("MD5:").replace(":", "") if not wanted.startswith("SHA256:") else wanted
    users = request.session.scalars(select(UserItem).where(UserItem.kind == ItemKind.SSH_KEY))
    for item in users:
        if wanted in fingerprints(item.value):
            return _show(request, item)
    for key in request.session.scalars(select(DeployKey)):
        if wanted in fingerprints(key.key):
            return _show_deploy_key(request, key)
    raise not_found("Key")


def _show(request: Request, item: UserItem) -> dict[str, Any]:
    """API_Entities_SSHKeyWithUser."""
    return {**show_item(item), "user": _user(request, item.user_id)}


def _show_deploy_key(request: Request, key: DeployKey) -> dict[str, Any]:
    """The same of a deploy key, with the projects that let it in."""
    return {
        **show_key(key),
        "user": _user(request, key.user_id),
        "deploy_keys_projects": [
            {"deploy_key_id": key.id, "project_id": each.project_id, "can_push": each.can_push} for each in key.grants
        ],
    }


def _user(request: Request, user_id: int | None) -> dict[str, Any] | None:
    user = request.session.get(User, user_id) if user_id is not None else None
    return show_whole(request.session, request.instance, user, to_admin=False) if user else None


ROUTES = (
    get("/keys", _find, string("fingerprint", required=True), entry=Entry.ADMIN),
    get("/keys/:key_id", _show_one, entry=Entry.ADMIN),
)
