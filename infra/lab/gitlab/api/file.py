"""Files of a repository."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.commit import author_of, decoded
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.parameter import Parameter, boolean, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Response, Transaction, delete, get, post, put
from infra.lab.gitlab.commit import ActionKind, FileAction, NotAllowedError, RefusedError, write_commit
from infra.lab.gitlab.git_object import Commit

_HEADERS = {
    "blob_id": "X-Gitlab-Blob-Id",
    "commit_id": "X-Gitlab-Commit-Id",
    "content_sha256": "X-Gitlab-Content-Sha256",
    "encoding": "X-Gitlab-Encoding",
    "execute_filemode": "X-Gitlab-Execute-Filemode",
    "file_name": "X-Gitlab-File-Name",
    "file_path": "X-Gitlab-File-Path",
    "last_commit_id": "X-Gitlab-Last-Commit-Id",
    "ref": "X-Gitlab-Ref",
    "size": "X-Gitlab-Size",
}


def _read(request: Request, ref: str) -> tuple[dict[str, Any], bytes]:
    """A file's metadata and content. 404 for a commit or file that isn't there."""
    project = request.code()
    repository = request.instance.repository(project.id)
    ref = project.default_branch if ref == "HEAD" else ref
    sha = repository.resolve(ref)
    if sha is None:
        raise not_found("Commit")
    path = request.segment("file_path")
    blob = repository.blob(sha, path)
    if blob is None:
        raise not_found("File")
    blob_id, content = blob
    newest = repository.last_commit(sha, path)
    return {
        "file_name": path.rsplit("/", 1)[-1],
        "file_path": path,
        "size": len(content),
        "encoding": "base64",
        "content_sha256": hashlib.sha256(content).hexdigest(),
        "ref": ref,
        "blob_id": blob_id,
        "commit_id": sha,
        "last_commit_id": newest.sha if newest else None,
        "execute_filemode": repository.file_mode(sha, path) == "100755",
    }, content


def _headers(shown: dict[str, Any]) -> dict[str, str]:
    def text(value: Any) -> str:
        plain = str(value).lower() if isinstance(value, bool) else str(value)
        # Header values are Latin-1 and one line; GitLab percent-encodes nothing here, clients don't read odd names.
        return plain.encode("ascii", "replace").decode().replace("\n", "?")

    return {header: text(shown[name]) for name, header in _HEADERS.items()}


def _show(request: Request) -> Answer:
    shown, content = _read(request, request.params["ref"])
    body = {**shown, "content": base64.b64encode(content).decode()}
    return Response(body, headers=_headers(shown))


def _raw(request: Request) -> Answer:
    shown, content = _read(request, request.params.get("ref") or "HEAD")
    headers = {
        **_headers(shown),
        # A page from a repository must not run as one of this server's.
        "Content-Disposition": "inline",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, headers=headers, content_type="text/plain; charset=utf-8")


def _blame(request: Request) -> Answer:
    shown, _ = _read(request, request.params["ref"])
    repository = request.instance.repository(request.code().id)
    runs = repository.blame(shown["commit_id"], shown["file_path"])
    commits = {sha: repository.commit(sha) for sha in {writer for writer, _ in runs}}
    body = [{"commit": _show_blamed(commits[writer]), "lines": lines} for writer, lines in runs]
    return Response(body, headers=_headers(shown))


def _show_blamed(commit: Commit | None) -> dict[str, Any] | None:
    if commit is None:
        return None
    return {
        "id": commit.sha,
        "parent_ids": list(commit.parents),
        "message": commit.message.rstrip("\n"),
        "authored_date": commit.authored_date,
        "author_name": commit.author_name,
        "author_email": commit.author_email,
        "committed_date": commit.committed_date,
        "committer_name": commit.committer_name,
        "committer_email": commit.committer_email,
    }


def _write(kind: ActionKind) -> Callable[[Request], Answer]:
    def handler(request: Request) -> Answer:
        given = request.params
        with request.instance.store.read() as session:
            project = request.project(Role.DEVELOPER, session=session)
        path = request.segment("file_path")
        content = None if kind == ActionKind.DELETE else decoded(given["content"], given.get("encoding"))
        action = FileAction(
            kind=kind,
            path=path,
            content=content,
            last_commit=given.get("last_commit_id"),
            executable=given.get("execute_filemode"),
        )
        try:
            write_commit(
                request.instance,
                request.identity,
                project,
                branch=given["branch"],
                message=given["commit_message"],
                actions=[action],
                author=author_of(given, request),
                start=given.get("start_branch"),
            )
        except NotAllowedError as error:
            raise message(400, "You are not allowed to push into this branch") from error
        except RefusedError as error:
            raise message(400, str(error)) from error
        return None if kind == ActionKind.DELETE else {"file_path": path, "branch": given["branch"]}

    return handler


_PATH = "/projects/:id/repository/files/:file_path"
_COMMIT: tuple[Parameter, ...] = (
    string("branch", required=True),
    string("commit_message", required=True),
    string("start_branch"),
    string("author_email"),
    string("author_name"),
    string("last_commit_id"),
)
_CONTENT: tuple[Parameter, ...] = (
    string("content", required=True),
    string("encoding", values=("base64", "text")),
    boolean("execute_filemode"),
)
_READ = ("read_repository",)
_LIMIT = 300 * 1024 * 1024

ROUTES = (
    get(_PATH, _show, string("ref", required=True), entry=Entry.ANYONE, scopes=_READ),
    get(f"{_PATH}/raw", _raw, string("ref"), entry=Entry.ANYONE, scopes=_READ),
    get(f"{_PATH}/blame", _blame, string("ref", required=True), entry=Entry.ANYONE, scopes=_READ),
    post(_PATH, _write(ActionKind.CREATE), *_COMMIT, *_CONTENT, transaction=Transaction.OWN, body_limit=_LIMIT),
    put(_PATH, _write(ActionKind.UPDATE), *_COMMIT, *_CONTENT, transaction=Transaction.OWN, body_limit=_LIMIT),
    delete(_PATH, _write(ActionKind.DELETE), *_COMMIT, transaction=Transaction.OWN),
)
