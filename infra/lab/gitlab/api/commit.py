"""Commits of a repository."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from infra.lab.gitlab.api.error import forbidden, message, not_found
from infra.lab.gitlab.api.page import paginate, paginate_window
from infra.lab.gitlab.api.parameter import boolean, hashes, integer, moment, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Transaction, get, post
from infra.lab.gitlab.commit import ActionKind, FileAction, NotAllowedError, RefusedError, write_commit
from infra.lab.gitlab.git_object import Commit, FileDiff, Signature
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.project import Project


def show_commit(instance: Instance, project: Project, commit: Commit) -> dict[str, Any]:
    """API_Entities_Commit."""
    return {
        "id": commit.sha,
        "short_id": commit.sha[:8],
        "created_at": commit.committed_date,
        "parent_ids": list(commit.parents),
        "title": commit.title,
        "message": commit.message.rstrip("\n") if "\n" not in commit.message.strip() else commit.message,
        "author_name": commit.author_name,
        "author_email": commit.author_email,
        "authored_date": commit.authored_date,
        "committer_name": commit.committer_name,
        "committer_email": commit.committer_email,
        "committed_date": commit.committed_date,
        "trailers": {},
        "extended_trailers": {},
        "web_url": instance.url(f"/{project.full_path}/-/commit/{commit.sha}"),
    }


def show_detail(
    instance: Instance, project: Project, repository: Repository, commit: Commit, *, stats: bool = True
) -> dict[str, Any]:
    """API_Entities_CommitDetail. Pipelines are told by the pipelines' own endpoints."""
    shown = {**show_commit(instance, project, commit), "status": None, "project_id": project.id, "last_pipeline": None}
    if stats:
        additions, deletions = repository.stats(commit.sha)
        shown["stats"] = {"additions": additions, "deletions": deletions, "total": additions + deletions}
    return shown


def show_diff(diff: FileDiff) -> dict[str, Any]:
    """API_Entities_Diff."""
    return {
        "diff": diff.text,
        "collapsed": False,
        "too_large": False,
        "new_path": diff.new_path,
        "old_path": diff.old_path,
        "a_mode": diff.old_mode,
        "b_mode": diff.new_mode,
        "new_file": diff.added,
        "renamed_file": diff.renamed,
        "deleted_file": diff.deleted,
        "generated_file": None,
    }


def _list(request: Request) -> Answer:
    project, given = request.code(), request.params
    repository = request.instance.repository(project.id)
    if given.get("all"):
        revisions = ["--branches", "--tags"] if repository.refs() else []
    else:
        wanted = given.get("ref_name") or project.default_branch
        left, dots, right = wanted.partition("..")
        found = [repository.resolve(each) for each in ((left, right) if dots else (wanted,))]
        if None in found and given.get("ref_name"):
            raise not_found("Commit") if repository.refs() else not_found("Repository")
        revisions = [f"{found[0]}..{found[1]}"] if dots else [each for each in found if each]
    options = [f"--since={given['since'].isoformat()}"] if given.get("since") else []
    options += [f"--until={given['until'].isoformat()}"] if given.get("until") else []
    options += [f"--author={given['author']}", "--fixed-strings"] if given.get("author") else []
    options += ["--first-parent"] if given.get("first_parent") else []
    options += ["--topo-order"] if given.get("order") == "topo" else []

    def fetch(skip: int, limit: int) -> list[Commit]:
        if not revisions:
            return []
        window = [*options, f"--skip={skip}", f"--max-count={limit}"]
        return list(repository.commits(revisions, options=window, path=given.get("path") or ""))

    if given.get("with_stats"):
        return paginate_window(request, fetch, lambda each: show_detail(request.instance, project, repository, each))
    return paginate_window(request, fetch, lambda each: show_commit(request.instance, project, each))


def _found(request: Request) -> tuple[Project, Repository, Commit]:
    project = request.code()
    repository = request.instance.repository(project.id)
    commit = repository.commit(request.segment("sha"))
    if commit is None:
        raise not_found("Commit")
    return project, repository, commit


def _show(request: Request) -> Answer:
    project, repository, commit = _found(request)
    return show_detail(request.instance, project, repository, commit, stats=request.params["stats"])


def _diff(request: Request) -> Answer:
    _, repository, commit = _found(request)
    return paginate(request, repository.diff(commit.parents[0] if commit.parents else None, commit.sha), show_diff)


def _refs(request: Request) -> Answer:
    _, repository, commit = _found(request)
    kinds = {"branch": ("branch",), "tag": ("tag",)}.get(request.params["type"], ("branch", "tag"))
    found = [
        {"type": kind, "name": name}
        for kind in kinds
        for name in repository.containing(commit.sha, "refs/heads" if kind == "branch" else "refs/tags")
    ]
    return paginate(request, found, lambda each: each)


def decoded(content: str | None, encoding: str | None) -> bytes:
    """A file's content as it was sent. 400 for what is not base64."""
    if encoding != "base64":
        return (content or "").encode()
    try:
        return base64.b64decode("".join((content or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise message(400, "400 Bad request - content is not valid base64") from error


def author_of(given: dict[str, Any], request: Request) -> Signature | None:
    """The author that the request names; what it leaves out is the user's."""
    if not given.get("author_name") and not given.get("author_email"):
        return None
    return Signature(
        name=given.get("author_name") or request.user.name, email=given.get("author_email") or request.user.email
    )


def _action(given: dict[str, Any]) -> FileAction:
    has_content = given.get("content") is not None
    return FileAction(
        kind=ActionKind(given["action"]),
        path=given["file_path"],
        previous=given.get("previous_path"),
        content=decoded(given["content"], given.get("encoding")) if has_content else None,
        last_commit=given.get("last_commit_id"),
        executable=given.get("execute_filemode"),
    )


def _create(request: Request) -> Answer:
    given = request.params
    with request.instance.store.read() as session:
        project = request.project(session=session)
    if given.get("start_project") not in (None, project.id):
        raise message(501, "501 Not Implemented: start_project is not part of the embedded GitLab")
    try:
        sha = write_commit(
            request.instance,
            request.identity,
            project,
            branch=given["branch"],
            message=given["commit_message"],
            actions=[_action(each) for each in given["actions"] or []],
            author=author_of(given, request),
            start=given.get("start_sha") or given.get("start_branch"),
            force=given.get("force") or False,
        )
    except NotAllowedError as error:
        raise forbidden("You are not allowed to push into this branch") from error
    except RefusedError as error:
        raise message(400, str(error)) from error
    repository = request.instance.repository(project.id)
    commit = repository.commit(sha)
    if commit is None:
        raise not_found("Commit")
    return show_detail(request.instance, project, repository, commit, stats=given["stats"])


_ACTION = (
    string("action", required=True, values=tuple(ActionKind)),
    string("file_path", required=True),
    string("previous_path"),
    string("content"),
    string("encoding", values=("text", "base64")),
    string("last_commit_id"),
    boolean("execute_filemode"),
)
_READ = ("read_repository",)

ROUTES = (
    get(
        "/projects/:id/repository/commits",
        _list,
        string("ref_name"),
        moment("since"),
        moment("until"),
        string("path"),
        string("author"),
        boolean("all"),
        boolean("with_stats"),
        boolean("first_parent"),
        string("order", values=("default", "topo")),
        entry=Entry.ANYONE,
        scopes=_READ,
    ),
    post(
        "/projects/:id/repository/commits",
        _create,
        string("branch", required=True),
        string("commit_message", required=True),
        hashes("actions", *_ACTION, required=True),
        string("start_branch"),
        string("start_sha"),
        integer("start_project"),
        string("author_email"),
        string("author_name"),
        boolean("stats", default=True),
        boolean("force"),
        transaction=Transaction.OWN,
        body_limit=300 * 1024 * 1024,
    ),
    get(
        "/projects/:id/repository/commits/:sha",
        _show,
        boolean("stats", default=True),
        entry=Entry.ANYONE,
        scopes=_READ,
    ),
    get("/projects/:id/repository/commits/:sha/diff", _diff, entry=Entry.ANYONE, scopes=_READ),
    get(
        "/projects/:id/repository/commits/:sha/refs",
        _refs,
        string("type", values=("branch", "tag", "all"), default="all"),
        entry=Entry.ANYONE,
        scopes=_READ,
    ),
)
