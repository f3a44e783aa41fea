"""Pictures of users: kept as files, shown to everybody, as GitLab does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from infra.lab.gitlab.api.error import message
from infra.lab.gitlab.api.route import Upload
from infra.lab.gitlab.instance import Instance

LARGEST = 200 * 1024
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}")
_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'"}


def keep_avatar(instance: Instance, owner: str, owner_id: int, picture: Upload) -> str:
    """Keep a picture in place of an older one; its name. 400 for what is none, or too large."""
    name = Path(picture.filename).name
    if not _NAME.fullmatch(name) or Path(name).suffix.lower() not in KINDS:
        raise message(
            400, {"avatar": ["file format is not supported. Please try one of the following supported formats"]}
        )
    if picture.size > LARGEST:
        raise message(400, {"avatar": ["is too big (should be at most 200 KiB)"]})
    folder = _folder(instance, owner, owner_id)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(picture.file.read(LARGEST))
    return name


def avatar_url(instance: Instance, owner: str, owner_id: int, name: str | None) -> str | None:
    """Where the picture is; None without one."""
    return instance.url(f"/uploads/-/system/{owner}/avatar/{owner_id}/{name}") if name else None


def _folder(instance: Instance, owner: str, owner_id: int) -> Path:
    return instance.settings.data / "uploads" / owner / str(owner_id)


def routes(instance: Instance) -> list[BaseRoute]:
    """The pictures' own addresses, which are not below /api."""

    def show(request: HttpRequest) -> Response:
        name = request.path_params["name"]
        file = _folder(instance, "user", request.path_params["owner_id"]) / name
        if not _NAME.fullmatch(name) or not file.is_file():
            return PlainTextResponse("Not Found", 404)
        return FileResponse(file, media_type=KINDS[file.suffix.lower()], headers=_HEADERS)

    return [Route("/uploads/-/system/user/avatar/{owner_id:int}/{name}", show)]
