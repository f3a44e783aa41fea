"""A repository as a whole: its tree, blobs, comparisons and archives."""

from __future__ import annotations

import base64
import tarfile
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import quote

from infra.lab.gitlab.api.commit import show_commit, show_diff
from infra.lab.gitlab.api.error import bad_request, message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import array, boolean, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Response, get
from infra.lab.gitlab.git_object import Entry as TreeEntry
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.project import Project

_FORMATS = {
    "": "tar.gz",
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar": "tar",
    ".zip": "zip",
    **dict.fromkeys((".tar.bz2", ".tbz", ".tbz2", ".tb2", ".bz2"), "tar.bz2"),
}
_TYPES = {
    "tar.gz": "application/gzip",
    "tar.bz2": "application/x-bzip2",
    "tar": "application/x-tar",
    "zip": "application/zip",
}


def _open(request: Request) -> tuple[Project, Repository]:
    project = request.code()
    return project, request.instance.repository(project.id)


def _tree(request: Request) -> Answer:
    (project, repository), given = _open(request), request.params
    entries = repository.tree(
        given.get("ref") or project.default_branch, given.get("path") or "", recursive=given["recursive"]
    )
    if entries is None:
        if not repository.refs() and not given.get("ref"):
            return paginate(request, [], lambda each: each)
        raise not_found("Tree")
    if not given["recursive"]:
        # Folders come first, as GitLab sorts a tree.
        entries.sort(key=lambda entry: entry.type != "tree")

    def show(entry: TreeEntry) -> dict[str, Any]:
        return {"id": entry.sha, "name": entry.name, "type": entry.type, "path": entry.path, "mode": entry.mode}

    return paginate(request, entries, show)


def _blob(request: Request) -> Answer:
    sha = request.segment("sha")
    content = _open(request)[1].read_blob(sha)
    if content is None:
        raise not_found("Blob")
    encoded = base64.b64encode(content).decode()
    return {"size": len(content), "encoding": "base64", "content": encoded, "sha": sha}


def _raw_blob(request: Request) -> Answer:
    content = _open(request)[1].read_blob(request.segment("sha"))
    if content is None:
        raise not_found("Blob")
    headers = {"Content-Disposition": "inline", "X-Content-Type-Options": "nosniff"}
    return Response(content, headers=headers, content_type="text/plain; charset=utf-8")


def _compare(request: Request) -> Answer:
    (project, repository), given = _open(request), request.params
    start, end = repository.resolve(given["from"]), repository.resolve(given["to"])
    if start is None or end is None:
        raise not_found("Ref")
    base = start if given["straight"] else repository.merge_base([start, end]) or start
    commits = list(repository.commits([f"{base}..{end}"], options=["--reverse", "--max-count=1000"]))
    shown = [show_commit(request.instance, project, commit) for commit in commits]
    path = f"/{project.full_path}/-/compare/{given['from']}...{given['to']}"
    return {
        "commit": shown[-1] if shown else None,
        "commits": shown,
        "diffs": [show_diff(diff) for diff in repository.diff(base, end)],
        "compare_timeout": False,
        "compare_same_ref": start == end,
        "web_url": request.instance.url(path),
    }


def _merge_base(request: Request) -> Answer:
    (project, repository), refs = _open(request), request.params["refs"] or []
    if len(refs) < 2:
        raise bad_request("Provide at least 2 refs")
    found = [repository.resolve(ref) for ref in refs]
    missing = [ref for ref, sha in zip(refs, found, strict=True) if sha is None]
    if missing:
        raise message(400, f"400 Bad request - Could not find ref: {', '.join(missing)}")
    base = repository.merge_base([sha for sha in found if sha])
    commit = repository.commit(base) if base else None
    if commit is None:
        raise not_found("Merge Base")
    return show_commit(request.instance, project, commit)


def _archive(kind: str) -> Callable[[Request], Answer]:
    def handler(request: Request) -> Answer:
        (project, repository), given = _open(request), request.params
        wanted = _FORMATS.get("." + given["format"], kind) if given.get("format") else kind
        revision = given.get("sha") or project.default_branch
        sha = repository.resolve(revision)
        name = f"{project.path}-{revision.replace('/', '-')}-{sha}"
        content = repository.archive(revision, wanted, name, given.get("path") or "")
        if sha is None or content is None:
            raise not_found("File")
        # Quoted: a branch's name may hold quotation marks and letters that no header may.
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}.{wanted}"}
        return Response(content, headers=headers, content_type=_TYPES[wanted])

    return handler


def _snapshot(request: Request) -> Answer:
    """The bare repository itself, as a tar archive."""
    repository = _open(request)[1]
    content = BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(repository.path, arcname=".")
    headers = {"Content-Disposition": 'attachment; filename="snapshot.tar"'}
    return Response(content.getvalue(), headers=headers, content_type="application/x-tar")


_PATH = "/projects/:id/repository"
_READ = ("read_repository",)

ROUTES = (
    get("/projects/:id/snapshot", _snapshot, entry=Entry.ADMIN),
    get(
        f"{_PATH}/tree",
        _tree,
        string("ref"),
        string("path"),
        boolean("recursive", default=False),
        entry=Entry.ANYONE,
        scopes=_READ,
    ),
    get(f"{_PATH}/blobs/:sha", _blob, entry=Entry.ANYONE, scopes=_READ),
    get(f"{_PATH}/blobs/:sha/raw", _raw_blob, entry=Entry.ANYONE, scopes=_READ),
    get(
        f"{_PATH}/compare",
        _compare,
        string("from", required=True),
        string("to", required=True),
        boolean("straight", default=False),
        entry=Entry.ANYONE,
        scopes=_READ,
    ),
    get(f"{_PATH}/merge_base", _merge_base, array("refs", required=True), entry=Entry.ANYONE, scopes=_READ),
    *(
        get(
            f"{_PATH}/archive{suffix}",
            _archive(kind),
            string("sha"),
            string("format"),
            string("path"),
            entry=Entry.ANYONE,
            scopes=_READ,
        )
        for suffix, kind in _FORMATS.items()
    ),
)
