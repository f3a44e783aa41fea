"""Branches of a repository."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from infra.lab.gitlab.access import Role, project_role
from infra.lab.gitlab.api.commit import show_commit
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import string
from infra.lab.gitlab.api.ref_move import delete_ref, refusals_answered
from infra.lab.gitlab.api.route import Answer, Entry, Request, Transaction, delete, get, post
from infra.lab.gitlab.commit import begin_repository, check_move, move_ref
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.git_object import Commit, Ref, valid_ref_name
from infra.lab.gitlab.push import BRANCH, RefChange, allows
from infra.lab.gitlab.repository import Repository
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.protection import Action, RefKind, all_protections


class _View:
    """Shows branches as API_Entities_Branch. What a whole page needs is asked for once."""

    def __init__(self, request: Request, project: Project, repository: Repository) -> None:
        self._request, self._project, self._repository = request, project, repository
        self._rules = all_protections(request.session, project.id, RefKind.BRANCH)
        self._role = project_role(request.session, request.identity, project)
        self._merged: set[str] = set()
        self._commits: dict[str, Commit] = {}

    def load(self, refs: Sequence[Ref]) -> None:
        """Read what is asked of the branches that are going to be shown."""
        shas = [ref.sha for ref in refs]
        self._commits = self._repository.commits_at(shas)
        default = self._repository.branch(self._project.default_branch)
        self._merged = self._repository.contained(shas, default.sha) if default else set()

    def show_one(self, ref: Ref) -> dict[str, Any]:
        """One branch alone."""
        self.load([ref])
        return self.show(ref)

    def show(self, ref: Ref) -> dict[str, Any]:
        """One branch that was loaded."""
        request, project = self._request, self._project
        rules = [rule for rule in self._rules if rule.matches(ref.name)]
        may_push = allows(rules, Action.PUSH, request.identity, self._role) if rules else self._role >= Role.DEVELOPER
        levels = {action: {e.access_level for rule in rules for e in rule.entries(action)} for action in Action}
        commit = self._commits.get(ref.sha)
        return {
            "name": ref.name,
            "commit": show_commit(request.instance, project, commit) if commit else None,
            "merged": ref.sha in self._merged and ref.name != project.default_branch,
            "protected": bool(rules),
            "developers_can_push": Role.DEVELOPER in levels[Action.PUSH],
            "developers_can_merge": Role.DEVELOPER in levels[Action.MERGE],
            "can_push": may_push,
            "default": ref.name == project.default_branch,
            "web_url": request.instance.url(f"/{project.full_path}/-/tree/{ref.name}"),
        }


def _list(request: Request) -> Answer:
    project, given = request.code(), request.params
    repository = request.instance.repository(project.id)
    branches = repository.branches()
    if text := given.get("search"):
        branches = [ref for ref in branches if _found_by(text, ref.name)]
    if pattern := given.get("regex"):
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise message(400, f"400 Bad request - {error}") from error
        branches = [ref for ref in branches if compiled.search(ref.name)]
    view = _View(request, project, repository)
    return paginate(request, branches, view.show, load=view.load)


def _found_by(text: str, name: str) -> bool:
    """`^x` is at the start, `x$` at the end, else anywhere."""
    if text.startswith("^"):
        return name.startswith(text[1:])
    return name.endswith(text[:-1]) if text.endswith("$") else text.lower() in name.lower()


def _show(request: Request) -> Answer:
    project = request.code()
    repository = request.instance.repository(project.id)
    return _View(request, project, repository).show_one(_branch(request, repository))


def _branch(request: Request, repository: Repository) -> Ref:
    name = request.segment("branch")
    if not valid_ref_name(name):
        raise message(400, "The branch refname is invalid")
    ref = repository.branch(name)
    if ref is None:
        raise not_found("Branch")
    return ref


def _create(request: Request) -> Answer:
    given = request.params
    with request.instance.store.read() as session:
        project = request.project(Role.DEVELOPER, session=session)
    repository = request.instance.repository(project.id)
    if not repository.branches():
        begin_repository(request.instance, request.identity, project)
    name = given["branch"]
    if not valid_ref_name(name):
        raise message(400, "Branch name is invalid")
    if repository.branch(name) is not None:
        raise message(400, "Branch already exists")
    sha = repository.resolve(given["ref"])
    if sha is None:
        raise message(400, f"Invalid reference name: {given['ref']}")
    ref = BRANCH + name
    with refusals_answered():
        check_move(request.instance, request.identity, project, ref, NO_OBJECT, sha)
        move_ref(request.instance, request.identity, project, RefChange(ref=ref, before=NO_OBJECT, after=sha))
    return _shown_again(request, project, name)


def _shown_again(request: Request, project: Project, name: str) -> Answer:
    repository = request.instance.repository(project.id)
    ref = repository.branch(name)
    if ref is None:
        raise not_found("Branch")
    with request.instance.store.read() as session:
        request.use(session)
        return _View(request, session.get_one(Project, project.id), repository).show_one(ref)


def _delete(request: Request) -> Answer:
    with request.instance.store.read() as session:
        project = request.project(Role.DEVELOPER, session=session)
    ref = _branch(request, request.instance.repository(project.id))
    delete_ref(request, project, BRANCH + ref.name, ref.sha)
    return None


_READ = ("read_repository",)

ROUTES = (
    get(
        "/projects/:id/repository/branches",
        _list,
        string("search"),
        string("regex"),
        entry=Entry.ANYONE,
        scopes=_READ,
    ),
    post(
        "/projects/:id/repository/branches",
        _create,
        string("branch", required=True),
        string("ref", required=True),
        transaction=Transaction.OWN,
    ),
    get("/projects/:id/repository/branches/:branch", _show, entry=Entry.ANYONE, scopes=_READ),
    delete("/projects/:id/repository/branches/:branch", _delete, transaction=Transaction.OWN),
)
