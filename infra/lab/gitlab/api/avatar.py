"""Pictures of users, projects and groups, kept as files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from infra.lab.gitlab.api.error import message
from infra.lab.gitlab.api.route import Request, Upload
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.namespace import Namespace, Visibility
from infra.lab.gitlab.store.project import Project

KEPT = "_avatar"
"""The setting that holds the picture's name."""
LARGEST = 200 * 1024
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}")
_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'"}


class Owner(StrEnum):
    """Whose picture it is."""

    USER = "user"
    PROJECT = "project"
    GROUP = "group"


def changed_avatar(request: Request, owner: Owner, owner_id: int) -> dict[str, str | None]:
    """What the request's `avatar` makes of the owner's settings, with the picture kept: nothing where none is given.

    400 for what is no picture, or too large.
    """
    if "avatar" not in request.params:
        return {}
    folder, picture = _folder(request.instance, owner, owner_id), request.params["avatar"]
    if not isinstance(picture, Upload):
        shutil.rmtree(folder, ignore_errors=True)
        return {KEPT: None}
    name = Path(picture.filename).name
    if not _NAME.fullmatch(name) or Path(name).suffix.lower() not in KINDS:
        raise message(400, {"avatar": [f"file format is not supported: use one of {', '.join(KINDS)}"]})
    if picture.size > LARGEST:
        raise message(400, {"avatar": ["is too big (should be at most 200 KiB)"]})
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(picture.file.read(LARGEST))
    return {KEPT: name}


def avatar_url(instance: Instance, owner: Owner, owner_id: int, settings: Mapping[str, Any]) -> str | None:
    """Where the picture is; None without one."""
    name = settings.get(KEPT)
    return instance.url(f"/uploads/-/system/{owner}/avatar/{owner_id}/{name}") if name else None


def _folder(instance: Instance, owner: Owner, owner_id: int) -> Path:
    return instance.settings.data / "uploads" / owner / str(owner_id)


def routes(instance: Instance) -> list[BaseRoute]:
    """The pictures' own addresses, which are not below /api. Those of what isn't public are shown to nobody."""

    def show(request: HttpRequest) -> Response:
        owner, owner_id, name = (request.path_params[key] for key in ("owner", "owner_id", "name"))
        if owner not in set(Owner) or not _NAME.fullmatch(name) or not _shown(instance, owner, owner_id):
            return PlainTextResponse("Not Found", 404)
        file = _folder(instance, Owner(owner), owner_id) / name
        if not file.is_file():
            return PlainTextResponse("Not Found", 404)
        return FileResponse(file, media_type=KINDS[file.suffix.lower()], headers=_HEADERS)

    return [Route("/uploads/-/system/{owner}/avatar/{owner_id:int}/{name}", show)]


def _shown(instance: Instance, owner: str, owner_id: int) -> bool:
    if owner == Owner.USER:
        return True
    with instance.store.read() as session:
        project = session.get(Project, owner_id) if owner == Owner.PROJECT else None
        group = session.get(Namespace, owner_id) if owner == Owner.GROUP else None
        return any(each is not None and each.visibility == Visibility.PUBLIC for each in (project, group))
