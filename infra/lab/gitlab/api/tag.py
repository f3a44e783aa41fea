"""Tags of a repository."""

from __future__ import annotations

import time
from typing import Any

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.commit import show_commit
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import string
from infra.lab.gitlab.api.ref_move import delete_ref, refusals_answered
from infra.lab.gitlab.api.route import Answer, Entry, Request, Transaction, delete, get, post
from infra.lab.gitlab.commit import check_move, move_ref, signature_of
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.git_object import Commit, Ref, valid_ref_name
from infra.lab.gitlab.push import TAG, RefChange
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.protection import RefKind, protections_of


def _show_tag(request: Request, project: Project, repository: Repository, ref: Ref) -> dict[str, Any]:
    """API_Entities_Tag."""
    commit = repository.commit(ref.sha)
    return {
        "name": ref.name,
        "message": ref.message,
        "target": ref.target,
        "commit": show_commit(request.instance, project, commit) if commit else None,
        "release": None,
        "protected": bool(protections_of(request.session, project.id, RefKind.TAG, ref.name)),
        "created_at": ref.created_at,
    }


def _list(request: Request) -> Answer:
    project, given = request.code(), request.params
    repository = request.instance.repository(project.id)
    tags = repository.tags()
    if text := given.get("search"):
        tags = [ref for ref in tags if text.lower().strip("^$") in ref.name.lower()]
    if given["order_by"] == "updated":
        dates = {ref.name: repository.commit(ref.sha) for ref in tags}
        tags.sort(key=lambda ref: (ref.created_at or _date(dates[ref.name]), ref.name))
    if given["sort"] == "desc":
        tags.reverse()
    return paginate(request, tags, lambda ref: _show_tag(request, project, repository, ref))


def _date(commit: Commit | None) -> str:
    return commit.committed_date if commit else ""


def _show(request: Request) -> Answer:
    project = request.code()
    repository = request.instance.repository(project.id)
    return _show_tag(request, project, repository, _tag(request, repository))


def _tag(request: Request, repository: Repository) -> Ref:
    ref = repository.tag(request.segment("tag_name"))
    if ref is None:
        raise not_found("Tag")
    return ref


def _create(request: Request) -> Answer:
    given = request.params
    with request.instance.store.read() as session:
        project = request.project(Role.DEVELOPER, session=session)
    repository, name = request.instance.repository(project.id), given["tag_name"]
    create_tag(request, project, name, given["ref"], given.get("message"))
    made = repository.tag(name)
    if made is None:
        raise not_found("Tag")
    with request.instance.store.read() as session:
        request.use(session)
        return _show_tag(request, session.get_one(Project, project.id), repository, made)


def create_tag(request: Request, project: Project, name: str, revision: str, text: str | None) -> None:
    """Tag a revision, with an annotated tag where there is a `text`; for handlers that open their own transactions."""
    repository = request.instance.repository(project.id)
    if not valid_ref_name(name):
        raise message(400, "Tag name invalid")
    if repository.tag(name) is not None:
        raise message(400, f"Tag {name} already exists")
    sha = repository.resolve(revision)
    if sha is None:
        raise message(400, f"Target {revision} is invalid")
    ref = TAG + name
    with refusals_answered():
        check_move(request.instance, request.identity, project, ref, NO_OBJECT, sha)
        target = sha
        if text:
            target = repository.write_tag(name, sha, text, signature_of(request.identity), int(time.time()))
        move_ref(request.instance, request.identity, project, RefChange(ref=ref, before=NO_OBJECT, after=target))


def _delete(request: Request) -> Answer:
    with request.instance.store.read() as session:
        project = request.project(Role.DEVELOPER, session=session)
    ref = _tag(request, request.instance.repository(project.id))
    delete_ref(request, project, TAG + ref.name, ref.target)
    return None


_READ = ("read_repository",)

ROUTES = (
    get(
        "/projects/:id/repository/tags",
        _list,
        string("search"),
        string("order_by", values=("name", "updated", "version"), default="updated"),
        string("sort", values=("asc", "desc"), default="desc"),
        entry=Entry.ANYONE,
        scopes=_READ,
    ),
    post(
        "/projects/:id/repository/tags",
        _create,
        string("tag_name", required=True),
        string("ref", required=True),
        string("message"),
        transaction=Transaction.OWN,
    ),
    get("/projects/:id/repository/tags/:tag_name", _show, entry=Entry.ANYONE, scopes=_READ),
    delete("/projects/:id/repository/tags/:tag_name", _delete, transaction=Transaction.OWN),
)
