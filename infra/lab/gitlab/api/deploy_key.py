"""Deploy keys. They are kept and shown; git over SSH, which they would open, is not part of the stand-in."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.access import Role, project_role
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import boolean, moment, string
from infra.lab.gitlab.api.project_entity import show_identity
from infra.lab.gitlab.api.route import Answer, Entry, Request, delete, get, post, put
from infra.lab.gitlab.store.base import stamp
from infra.lab.gitlab.store.deploy_key import DeployKey, DeployKeyGrant
from infra.lab.gitlab.store.project import Project

_KINDS = ("ssh-", "ecdsa-", "sk-")


def show_key(key: DeployKey) -> dict[str, Any]:
    """What GitLab says of any SSH key."""
    return {
        "id": key.id,
        "title": key.title,
        "created_at": stamp(key.created_at),
        "expires_at": stamp(key.expires_at),
        "last_used_at": None,
        "key": key.key,
        "usage_type": "auth",
    }


def _show(key: DeployKey, *, projects: bool = False) -> dict[str, Any]:
    """API_Entities_DeployKey; with `projects`, also those that let it in."""
    md5, sha256 = fingerprints(key.key)
    shown = {**show_key(key), "fingerprint": md5, "fingerprint_sha256": sha256}
    if projects:
        for name, pushes in (("projects_with_write_access", True), ("projects_with_readonly_access", False)):
            shown[name] = [show_identity(each.project) for each in key.grants if each.can_push == pushes]
    return shown


def _show_granted(grant: DeployKeyGrant, key: DeployKey) -> dict[str, Any]:
    """API_Entities_DeployKeysProject."""
    return {**_show(key), "can_push": grant.can_push}


def fingerprints(key: str) -> tuple[str, str]:
    """A key's MD5, in plain hexadecimal digits, and its `SHA256:…`."""
    blob = ssh_blob(key) or b""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return hashlib.md5(blob, usedforsecurity=False).hexdigest(), f"SHA256:{digest}"


def ssh_blob(key: str) -> bytes | None:
    """The key's bytes, which say what kind it is; None for what is no SSH key."""
    parts = key.split()
    if len(parts) < 2 or not parts[0].startswith(_KINDS):
        return None
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        return None
    return blob if blob[4 : 4 + len(parts[0])] == parts[0].encode() else None


def _new(request: Request, *, public: bool) -> DeployKey:
    given = request.params
    text = " ".join(given["key"].split())
    if ssh_blob(text) is None:
        raise message(400, {"key": ["is invalid"], "fingerprint": ["cannot be generated"]})
    if request.session.scalars(select(DeployKey).where(DeployKey.key == text)).first():
        raise message(400, {"fingerprint_sha256": ["has already been taken"]})
    key = DeployKey(title=given["title"], key=text, public=public, expires_at=given.get("expires_at"))
    key.user_id = request.user.id
    request.session.add(key)
    request.session.flush()
    return key


def _list_all(request: Request) -> Answer:
    statement = select(DeployKey).order_by(DeployKey.id)
    if request.params["public"]:
        statement = statement.where(DeployKey.public.is_(True))
    return paginate(request, statement, lambda key: _show(key, projects=True))


def _create_public(request: Request) -> Answer:
    return _show(_new(request, public=True))


def _list(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    statement = select(DeployKey).join(DeployKeyGrant).where(DeployKeyGrant.project_id == project.id)
    return paginate(request, statement.order_by(DeployKey.id), lambda key: _show_granted(_grant(project, key), key))


def _grant(project: Project, key: DeployKey) -> DeployKeyGrant:
    found = next((each for each in key.grants if each.project_id == project.id), None)
    if found is None:
        raise not_found("Deploy Key")
    return found


def _found(request: Request) -> DeployKey:
    key = request.session.get(DeployKey, request.number("key_id", "Deploy Key"))
    if key is None:
        raise not_found("Deploy Key")
    return key


def _show_one(request: Request) -> Answer:
    project, key = request.project(Role.MAINTAINER), _found(request)
    return _show_granted(_grant(project, key), key)


def _create(request: Request) -> Answer:
    project, given = request.project(Role.MAINTAINER), request.params
    text = " ".join(given["key"].split())
    key = request.session.scalars(select(DeployKey).where(DeployKey.key == text)).first() or _new(request, public=False)
    if not any(each.project_id == project.id for each in key.grants):
        key.grants.append(DeployKeyGrant(project_id=project.id, can_push=given.get("can_push") or False))
        request.session.flush()
    return _show_granted(_grant(project, key), key)


def _enable(request: Request) -> Answer:
    project, key = request.project(Role.MAINTAINER), _found(request)
    # A key that isn't public is known to those who maintain one of its projects.
    if not key.public and not request.identity.admin and not any(_maintains(request, each) for each in key.grants):
        raise not_found("Deploy Key")
    if not any(each.project_id == project.id for each in key.grants):
        key.grants.append(DeployKeyGrant(project_id=project.id))
        request.session.flush()
    return _show(key)


def _maintains(request: Request, grant: DeployKeyGrant) -> bool:
    return project_role(request.session, request.identity, grant.project) >= Role.MAINTAINER


def _update(request: Request) -> Answer:
    project, key, given = request.project(Role.MAINTAINER), _found(request), request.params
    grant = _grant(project, key)
    if given.get("can_push") is not None:
        grant.can_push = given["can_push"]
    key.title = given.get("title") or key.title
    return _show_granted(grant, key)


def _delete(request: Request) -> Answer:
    """Shut the key out; one that opens nothing any more goes with it."""
    project, key = request.project(Role.MAINTAINER), _found(request)
    key.grants.remove(_grant(project, key))
    request.session.flush()
    if not key.grants and not key.public:
        request.session.delete(key)
    return None


_NEW = (string("key", required=True), string("title", required=True), moment("expires_at"))
_ONE = "/projects/:id/deploy_keys/:key_id"

ROUTES = (
    get("/deploy_keys", _list_all, boolean("public", default=False), entry=Entry.ADMIN),
    post("/deploy_keys", _create_public, *_NEW, entry=Entry.ADMIN),
    get("/projects/:id/deploy_keys", _list),
    post("/projects/:id/deploy_keys", _create, *_NEW, boolean("can_push")),
    get(_ONE, _show_one),
    put(_ONE, _update, string("title"), boolean("can_push")),
    delete(_ONE, _delete),
    post(f"{_ONE}/enable", _enable),
)
