"""Releases, and links to what they consist of."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Role, reads_code
from infra.lab.gitlab.api.commit import show_commit
from infra.lab.gitlab.api.error import conflict, message, not_found, taken
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, hash_of, hashes, moment, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Transaction, delete, get, post, put
from infra.lab.gitlab.api.tag import create_tag
from infra.lab.gitlab.api.user import basic
from infra.lab.gitlab.store.base import now, stamp
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.release import Release, ReleaseLink, find_release

_LINK_TYPES = ("other", "runbook", "image", "package")
_FORMATS = ("zip", "tar.gz", "tar.bz2", "tar")


def _show(request: Request, project: Project, release: Release, *, readable: bool = True) -> dict[str, Any]:
    """API_Entities_Release. Without `readable` code neither commit nor sources are shown."""
    url = request.instance.url(f"/{project.full_path}/-")
    sources = [
        {"format": kind, "url": f"{url}/archive/{release.tag}/{project.path}-{release.tag}.{kind}"}
        for kind in _FORMATS
        if readable
    ]
    links = [_show_link(request, project, each, release.tag) for each in release.links]
    return {
        "name": release.name,
        "tag_name": release.tag,
        "description": release.description,
        "created_at": stamp(release.created_at),
        "released_at": stamp(release.released_at),
        "upcoming_release": release.released_at > now(),
        "author": basic(request.instance, release.author) if release.author else None,
        "milestones": [],
        **(_show_code(request, project, release) if readable else {}),
        "assets": {"count": len(sources) + len(links), "sources": sources, "links": links},
        "evidences": [],
        "_links": {"self": f"{url}/releases/{release.tag}"},
    }


def _show_code(request: Request, project: Project, release: Release) -> dict[str, Any]:
    commit = request.instance.repository(project.id).commit(release.sha)
    return {
        "commit": show_commit(request.instance, project, commit) if commit else None,
        "commit_path": f"/{project.full_path}/-/commit/{release.sha}",
        "tag_path": f"/{project.full_path}/-/tags/{release.tag}",
    }


def _show_link(request: Request, project: Project, link: ReleaseLink, tag: str) -> dict[str, Any]:
    """API_Entities_Releases_Link."""
    page = request.instance.url(f"/{project.full_path}/-/releases/{tag}/downloads")
    return {
        "id": link.id,
        "name": link.name,
        "url": link.url,
        "direct_asset_url": f"{page}{link.path}" if link.path else link.url,
        "link_type": link.link_type,
    }


def _list(request: Request) -> Answer:
    project = request.project()
    readable = reads_code(request.session, request.identity, project)
    column = Release.created_at if request.params["order_by"] == "created_at" else Release.released_at
    statement = select(Release).where(Release.project_id == project.id)
    statement = statement.order_by(
        column.asc() if request.params["sort"] == "asc" else column.desc(), Release.id.desc()
    )
    return paginate(request, statement, lambda each: _show(request, project, each, readable=readable))


def _found(request: Request, project: Project, session: Session | None = None) -> Release:
    release = find_release(session or request.session, project.id, request.segment("tag_name"))
    if release is None:
        raise not_found()
    return release


def _show_one(request: Request) -> Answer:
    """Only the list has something for those who may not read the code (GitLab's lib/api/releases.rb)."""
    project = request.code()
    return _show(request, project, _found(request, project))


def _create(request: Request) -> Answer:
    """The release, and its tag where there is none yet."""
    given = request.params
    with request.instance.store.read() as session:
        project = request.project(Role.DEVELOPER, session=session)
        if find_release(session, project.id, given["tag_name"]):
            raise conflict("Release already exists")
    repository = request.instance.repository(project.id)
    if repository.tag(given["tag_name"]) is None:
        if not given.get("ref"):
            raise message(422, "Ref is not specified")
        create_tag(request, project, given["tag_name"], given["ref"], given.get("tag_message"))
    tag = repository.tag(given["tag_name"])
    if tag is None:
        raise not_found("Tag")
    release = Release(
        project_id=project.id,
        author_id=request.user.id,
        tag=tag.name,
        sha=tag.sha,
        name=given.get("name") or tag.name,
        description=given.get("description"),
        released_at=given.get("released_at") or now(),
    )
    for link in (given.get("assets") or {}).get("links") or []:
        release.links.append(_new_link(link))
    with request.instance.store.write() as session:
        if find_release(session, project.id, tag.name):
            raise conflict("Release already exists")
        session.add(release)
        session.flush()
        session.refresh(release)
    return _show(request, project, release)


def _new_link(given: dict[str, Any]) -> ReleaseLink:
    path = given.get("direct_asset_path") or given.get("filepath")
    if path and not path.startswith("/"):
        raise message(400, {"filepath": ["is in an invalid format"]})
    return ReleaseLink(
        name=given["name"], url=given["url"], path=path, link_type=given.get("link_type") or _LINK_TYPES[0]
    )


def _update(request: Request) -> Answer:
    project, given = request.project(Role.DEVELOPER), request.params
    release = _found(request, project)
    release.name = given.get("name") or release.name
    release.released_at = given.get("released_at") or release.released_at
    if "description" in given:
        release.description = given["description"]
    return _show(request, project, release)


def _delete(request: Request) -> Answer:
    """The release goes, its tag stays. GitLab answers with what it was."""
    project = request.project(Role.DEVELOPER)
    release = _found(request, project)
    shown = _show(request, project, release)
    request.session.delete(release)
    return shown


def _links(request: Request) -> Answer:
    project = request.project()
    release = _found(request, project)
    return paginate(request, release.links, lambda each: _show_link(request, project, each, release.tag))


def _create_link(request: Request) -> Answer:
    project = request.project(Role.DEVELOPER)
    release = _found(request, project)
    if any(request.params[name] == getattr(each, name) for each in release.links for name in ("name", "url")):
        raise taken("name", "url")
    link = _new_link(request.params)
    release.links.append(link)
    request.session.flush()
    return _show_link(request, project, link, release.tag)


def _link(request: Request, minimum: Role) -> tuple[Project, Release, ReleaseLink]:
    project = request.project(minimum)
    release = _found(request, project)
    link = next((each for each in release.links if each.id == request.number("link_id")), None)
    if link is None:
        raise not_found()
    return project, release, link


def _show_one_link(request: Request) -> Answer:
    project, release, link = _link(request, Role.NONE)
    return _show_link(request, project, link, release.tag)


def _delete_link(request: Request) -> Answer:
    project, release, link = _link(request, Role.DEVELOPER)
    release.links.remove(link)
    return _show_link(request, project, link, release.tag)


_LINK: tuple[Parameter, ...] = (
    string("name", required=True),
    string("url", required=True),
    string("direct_asset_path"),
    string("filepath"),
    string("link_type", values=_LINK_TYPES),
)
_ONE = "/projects/:id/releases/:tag_name"

ROUTES = (
    get(
        "/projects/:id/releases",
        _list,
        string("order_by", values=("released_at", "created_at"), default="released_at"),
        string("sort", values=("asc", "desc"), default="desc"),
        entry=Entry.ANYONE,
        job_token=True,
    ),
    post(
        "/projects/:id/releases",
        _create,
        string("tag_name", required=True),
        *(string(name) for name in ("tag_message", "name", "description", "ref")),
        hash_of("assets", hashes("links", *_LINK)),
        moment("released_at"),
        transaction=Transaction.OWN,
        job_token=True,
    ),
    get(_ONE, _show_one, entry=Entry.ANYONE, job_token=True),
    put(_ONE, _update, string("name"), string("description"), moment("released_at"), job_token=True),
    delete(_ONE, _delete, job_token=True),
    get(f"{_ONE}/assets/links", _links, entry=Entry.ANYONE, job_token=True),
    post(f"{_ONE}/assets/links", _create_link, *_LINK, job_token=True),
    get(f"{_ONE}/assets/links/:link_id", _show_one_link, entry=Entry.ANYONE, job_token=True),
    delete(f"{_ONE}/assets/links/:link_id", _delete_link, job_token=True),
)
