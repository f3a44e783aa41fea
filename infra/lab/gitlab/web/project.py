"""Projects: all of them, one of them, its files."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from starlette.responses import Response

from infra.lab.gitlab.access import reads_code, visible_projects
from infra.lab.gitlab.api.error import forbidden, not_found
from infra.lab.gitlab.store.pipeline import Pipeline
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.web.visit import Page, Visit

LISTED = 200
PIPELINES = 10
LARGEST_FILE = 1024 * 1024


def show_all(visit: Visit) -> Response:
    """The projects that the visitor may see, each with its last pipeline."""
    found = select(Project).where(visible_projects(visit.session, visit.identity)).order_by(Project.full_path)
    projects = list(visit.session.scalars(found.limit(LISTED)))
    newest = select(func.max(Pipeline.id)).where(Pipeline.project_id.in_([each.id for each in projects]))
    last = visit.session.scalars(select(Pipeline).where(Pipeline.id.in_(newest.group_by(Pipeline.project_id))))
    return visit.render("projects.html", projects=projects, last={each.project_id: each for each in last})


def show(visit: Visit) -> Response:
    """A project's files and its last pipelines."""
    return _show_folder(visit, visit.project.default_branch, "")


def show_tree(visit: Visit) -> Response:
    """A folder, or the root, of a branch, tag or commit."""
    return _show_folder(visit, *_revision(visit))


def _show_folder(visit: Visit, revision: str, path: str) -> Response:
    project = visit.project
    repository = visit.instance.repository(project.id)
    may_read = reads_code(visit.session, visit.identity, project)
    entries = repository.tree(revision, path) if may_read else []
    if entries is None and (path or repository.refs()):
        raise not_found("Tree")
    listed = sorted(entries or [], key=lambda entry: (entry.type != "tree", entry.name))
    pipelines = select(Pipeline).where(Pipeline.project_id == project.id).order_by(Pipeline.id.desc())
    return visit.render(
        "project.html",
        revision=revision,
        folder=path,
        entries=listed,
        commit=repository.commit(revision) if may_read else None,
        may_read=may_read,
        pipelines=list(visit.session.scalars(pipelines.limit(PIPELINES))),
    )


def show_blob(visit: Visit) -> Response:
    """A file."""
    if not reads_code(visit.session, visit.identity, visit.project):
        raise forbidden()
    revision, path = _revision(visit)
    content = visit.instance.repository(visit.project.id).read_file(revision, path)
    if content is None:
        raise not_found("File")
    text = None if b"\0" in content[:8000] or len(content) > LARGEST_FILE else content.decode("utf-8", "replace")
    return visit.render("file.html", revision=revision, file=path, text=text, size=len(content))


def show_commit(visit: Visit) -> Response:
    """A commit with what it changes."""
    if not reads_code(visit.session, visit.identity, visit.project):
        raise forbidden()
    repository = visit.instance.repository(visit.project.id)
    commit = repository.commit(visit.segments["sha"])
    if commit is None:
        raise not_found("Commit")
    diffs: list[Any] = repository.diff(commit.parents[0] if commit.parents else None, commit.sha)
    return visit.render("commit.html", commit=commit, diffs=diffs[:100])


def _revision(visit: Visit) -> tuple[str, str]:
    """A branch's name may hold slashes, so the longest start of the path that names a commit is the revision."""
    parts = visit.segments["rest"].strip("/").split("/")
    repository = visit.instance.repository(visit.project.id)
    for length in range(min(len(parts), 8), 0, -1):
        candidate = "/".join(parts[:length])
        if repository.resolve(candidate):
            return candidate, "/".join(parts[length:])
    raise not_found("Commit")


PAGES = (
    Page(path="tree/*rest", handler=show_tree),
    Page(path="blob/*rest", handler=show_blob),
    Page(path="commit/:sha", handler=show_commit),
)
