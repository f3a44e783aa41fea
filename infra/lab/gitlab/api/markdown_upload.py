"""Files that people put into a project to show them in a text. Their own addresses are not there, only the API's."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import select
from starlette.background import BackgroundTask
from starlette.responses import FileResponse
from starlette.responses import Response as RawResponse

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import message, not_found, parameter
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import upload
from infra.lab.gitlab.api.route import Answer, Entry, Request, Transaction, delete, get, post
from infra.lab.gitlab.api.route import Upload as Sent
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.pipelines.service import CiService
from infra.lab.gitlab.store.base import stamp
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.setting import settings_of
from infra.lab.gitlab.store.upload import Upload

_BLOCK = 64 * 1024
_UNSAFE = re.compile(r"[^\w.+-]")
_LONGEST_NAME = 200
_SHOWN = {
    *(".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tiff", ".ico", ".webp"),
    *(".mp4", ".m4v", ".mov", ".webm", ".ogv"),
}
"""Pictures and films, which a text shows where it names other files (GitLab's lib/gitlab/file_type_detection.rb)."""


def _folder(instance: Instance, project_id: int, secret: str = "") -> Path:
    return instance.settings.data / "uploads" / "markdown" / str(project_id) / secret


def _create(request: Request) -> Answer:
    """The file first, its row after: a row without a file would be a lie, a file without a row is swept."""
    instance, sent = request.instance, request.params["file"]
    with instance.store.read() as session:
        project_id = request.project(session=session).id
        limit = settings_of(session)["max_attachment_size"]
    if not isinstance(sent, Sent):
        raise parameter("file is invalid")
    if sent.size > limit * 1024 * 1024:
        raise message(413, "413 Request Entity Too Large")
    made = Upload(project_id=project_id, secret=secrets.token_hex(16), filename=_safe(sent.filename), size=sent.size)
    made.uploaded_by_id = request.user.id
    folder = _folder(instance, project_id, made.secret)
    with CiService.of(instance).artifacts.draft() as draft:
        while block := sent.file.read(_BLOCK):
            draft.write(block)
        draft.keep(folder / made.filename)
    with instance.store.write() as session:
        if session.get(Project, project_id) is None:
            shutil.rmtree(folder)
            raise not_found("Project")
        session.add(made)
    return _show_new(made)


def _safe(name: str) -> str:
    """The last part of a name, with nothing in it that could lead elsewhere."""
    last = _UNSAFE.sub("_", PurePosixPath(name.replace("\\", "/")).name)[-_LONGEST_NAME:]
    return f"_{last}" if not last.strip(".") else last


def _show_new(made: Upload) -> dict[str, Any]:
    """API_Entities_ProjectUpload."""
    path = PurePosixPath(made.filename)
    shown = path.suffix.lower() in _SHOWN
    alt = path.stem if shown else made.filename
    url = f"/uploads/{made.secret}/{made.filename}"
    return {
        "id": made.id,
        "alt": alt,
        "url": url,
        "full_path": f"/-/project/{made.project_id}{url}",
        "markdown": f"{'!' if shown else ''}[{alt}]({url})",
    }


def _list(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    statement = select(Upload).where(Upload.project_id == project.id).order_by(Upload.id.desc())
    return paginate(request, statement, _show)


def _show(each: Upload) -> dict[str, Any]:
    """API_Entities_MarkdownUploadAdmin."""
    by = each.uploaded_by
    return {
        "id": each.id,
        "size": each.size,
        "filename": each.filename,
        "created_at": stamp(each.created_at),
        "uploaded_by": {"id": by.id, "name": by.name, "username": by.username} if by else None,
    }


def _by_id(request: Request) -> Upload:
    """For maintainers: ids can be counted up, secrets can't."""
    project = request.project(Role.MAINTAINER)
    found = request.session.get(Upload, request.number("upload_id"))
    if found is None or found.project_id != project.id:
        raise not_found()
    return found


def _by_secret(request: Request, minimum: Role) -> Upload:
    project = request.project(minimum)
    wanted = (Upload.secret == request.segment("secret"), Upload.filename == request.segment("filename"))
    found = request.session.scalars(select(Upload).where(Upload.project_id == project.id, *wanted)).first()
    if found is None:
        raise message(404, "404 Not Found")
    return found


def _send(request: Request, found: Upload) -> RawResponse:
    file = _folder(request.instance, found.project_id, found.secret) / found.filename
    if not file.is_file():
        raise message(404, "404 Not Found")
    headers = {"X-Content-Type-Options": "nosniff"}
    return FileResponse(file, media_type="application/octet-stream", filename=found.filename, headers=headers)


def _remove(request: Request, found: Upload) -> RawResponse:
    """The file goes once its row is gone for good."""
    request.session.delete(found)
    folder = _folder(request.instance, found.project_id, found.secret)
    return RawResponse(status_code=204, background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True))


def _sweep(instance: Instance) -> None:
    """Remove files that a killed server had no time to note, or to delete."""
    with instance.store.read() as session:
        known = set(session.scalars(select(Upload.secret)))
    for folder in _folder(instance, 0).parent.glob("*/*"):
        if folder.name not in known:
            shutil.rmtree(folder, ignore_errors=True)


def attach(instance: Instance) -> None:
    """What `app.PARTS` names."""
    instance.hooks.on_start.append(_sweep)
    instance.hooks.on_project_deleted.append(
        lambda changed, project_id: shutil.rmtree(_folder(changed, project_id), ignore_errors=True)
    )


_PROJECT = "/projects/:id/uploads"
_BY_ID = f"{_PROJECT}/:upload_id"
_BY_SECRET = f"{_PROJECT}/:secret/:filename"

ROUTES = (
    get(_PROJECT, _list),
    post(_PROJECT, _create, upload("file", required=True), transaction=Transaction.OWN),
    get(_BY_ID, lambda request: _send(request, _by_id(request))),
    delete(_BY_ID, lambda request: _remove(request, _by_id(request))),
    get(_BY_SECRET, lambda request: _send(request, _by_secret(request, Role.NONE)), entry=Entry.ANYONE),
    delete(_BY_SECRET, lambda request: _remove(request, _by_secret(request, Role.MAINTAINER))),
)
