"""Projects."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from infra.lab.gitlab import access
from infra.lab.gitlab.access import Identity, Role, group_role, project_role
from infra.lab.gitlab.api.avatar import Owner, changed_avatar
from infra.lab.gitlab.api.error import bad_request, forbidden, message, not_found
from infra.lab.gitlab.api.namespace import show_namespace
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, boolean, integer, string
from infra.lab.gitlab.api.project_entity import ProjectView, show_basic, show_project
from infra.lab.gitlab.api.project_field import PARAMETERS, changed_settings
from infra.lab.gitlab.api.route import Answer, Entry, Request, Response, Transaction, delete, get, post, put
from infra.lab.gitlab.api.user import basic as show_user
from infra.lab.gitlab.api.user import found as found_user
from infra.lab.gitlab.commit import initial_commit
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.namespace import Namespace, NamespaceKind, Visibility, find_namespace
from infra.lab.gitlab.store.project import DEFAULT_BRANCH, Project
from infra.lab.gitlab.store.setting import settings_of
from infra.lab.gitlab.store.user import User

PATH = re.compile(r"(?!-)[a-zA-Z0-9_.-]*[a-zA-Z0-9_-]|[a-zA-Z0-9_]")
_RESERVED = (".git", ".atom")
_ORDERS = ("id", "name", "path", "created_at", "updated_at", "last_activity_at", "similarity", "star_count")


def list_projects(request: Request, condition: ColumnElement[bool] | None = None) -> Response:
    """A page of the projects that whoever asks may see, with the usual filters."""
    given, session, identity = request.params, request.session, request.identity
    statement = select(Project).where(access.visible_projects(session, identity))
    if condition is not None:
        statement = statement.where(condition)
    statement = _filter(request, statement)
    if given.get("simple") or identity.anonymous:
        return paginate(request, _ordered(request, statement), lambda each: show_basic(request.instance, each))
    view = ProjectView(request)
    return paginate(request, _ordered(request, statement), view.show, load=view.load)


def _filter(request: Request, statement: Select[Project]) -> Select[Project]:
    given, session, user = request.params, request.session, request.identity.user
    if given.get("archived") is not None:
        statement = statement.where(Project.archived.is_(given["archived"]))
    if given.get("visibility"):
        statement = statement.where(Project.visibility == given["visibility"])
    if text := given.get("search"):
        found = or_(
            Project.name.icontains(text, autoescape=True),
            Project.path.icontains(text, autoescape=True),
            Project.description.icontains(text, autoescape=True),
        )
        if given.get("search_namespaces"):
            found = or_(found, Project.full_path.icontains(text, autoescape=True))
        statement = statement.where(found)
    if given.get("membership") and user is not None:
        statement = statement.where(access.member_projects(session, user))
    if given.get("owned") and user is not None:
        mine = [each.id for each in session.scalars(statement) if access.role_in_project(session, user, each) >= 50]
        statement = statement.where(Project.id.in_(mine))
    if given.get("starred") or given.get("imported"):
        statement = statement.where(Project.id < 0)
    if (level := given.get("min_access_level")) and user is not None:
        held = [each.id for each in session.scalars(statement) if access.role_in_project(session, user, each) >= level]
        statement = statement.where(Project.id.in_(held))
    return statement


def _ordered(request: Request, statement: Select[Project]) -> Select[Project]:
    order = request.params.get("order_by") or "created_at"
    column = getattr(Project, order, Project.id)
    descending = (request.params.get("sort") or "desc") == "desc"
    by_id = Project.id.desc() if descending else Project.id.asc()
    return statement.order_by(column.desc() if descending else column.asc(), by_id)


def _list(request: Request) -> Answer:
    return list_projects(request)


def _show(request: Request) -> Answer:
    return show_project(request, request.project(), permissions=True)


def _create(request: Request) -> Answer:
    """Make the database's row, the repository, and the first commit where one is asked for, in this order."""
    with request.instance.store.write() as session:
        own = replace(request.identity, user=session.get(User, request.user.id))
        project = _new_project(request, session=session, identity=own)
    request.instance.repository(project.id).create(project.default_branch)
    if request.params.get("initialize_with_readme"):
        initial_commit(request.instance, own, project)
    with request.instance.store.read() as session:
        created = session.get_one(Project, project.id)
        return show_project(request, created, session=session)


def _new_project(request: Request, *, session: Session, identity: Identity) -> Project:
    given = request.params
    name, path = given.get("name") or given.get("path"), given.get("path")
    if not name:
        raise message(400, "400 Bad request - name, path are missing, at least one parameter must be provided")
    path = path or slug(name)
    namespace = _home(session, identity, given.get("namespace_id"))
    check_path(path)
    visibility = given.get("visibility") or settings_of(session)["default_project_visibility"]
    _check_visibility(visibility, namespace)
    _check_free(session, namespace, name, path)
    branch = given.get("default_branch") or settings_of(session)["default_branch_name"] or DEFAULT_BRANCH
    project = Project(
        namespace_id=namespace.id,
        namespace=namespace,
        name=name,
        path=path,
        full_path=f"{namespace.full_path}/{path}",
        description=given.get("description"),
        visibility=visibility,
        default_branch=branch,
        creator_id=identity.user_id,
        settings=changed_settings(given),
    )
    session.add(project)
    session.flush()
    project.settings = {**project.settings, **changed_avatar(request, Owner.PROJECT, project.id)}
    return project


def _home(session: Session, identity: Identity, namespace_id: int | None) -> Namespace:
    """The namespace of a new project: the named one, where the user may make projects, else their own."""
    if namespace_id is None:
        own = select(Namespace).where(Namespace.owner_id == identity.user_id, Namespace.kind == NamespaceKind.USER)
        namespace = session.scalars(own).first()
    else:
        namespace = find_namespace(session, namespace_id)
        if namespace and namespace.is_group and not access.sees_group(session, identity, namespace):
            namespace = None
    if namespace is None:
        raise message(400, {"namespace": ["is not valid"]}) if namespace_id else not_found("Namespace")
    if group_role(session, identity, namespace) < Role.MAINTAINER:
        raise message(400, {"namespace": ["is not valid"]})
    return namespace


def slug(name: str) -> str:
    """The path that GitLab derives from a name."""
    return re.sub(r"-{2,}", "-", re.sub(r"[^a-zA-Z0-9_.-]", "-", name)).strip("-.").lower()


def check_path(path: str) -> None:
    """400 unless `path` can be a project's or group's path."""
    if len(path) > 255 or not PATH.fullmatch(path) or path.endswith(_RESERVED):
        text = (
            "can contain only letters, digits, '_', '-' and '.'. Cannot start with '-', end in '.git' or end in '.atom'"
        )
        raise message(400, {"path": [text]})


def _check_visibility(visibility: str, namespace: Namespace) -> None:
    if namespace.is_group and Visibility(visibility).rank > Visibility(namespace.visibility).rank:
        text = f"{visibility} is not allowed in a {namespace.visibility} group."
        raise message(400, {"visibility_level": [text]})


def _check_free(session: Session, namespace: Namespace, name: str, path: str, *, but: int | None = None) -> None:
    """400 when the name or path is taken in the namespace, in GitLab's words."""
    others = select(Project).where(Project.namespace_id == namespace.id, Project.id != (but or 0))
    taken: dict[str, list[str]] = {}
    for other in session.scalars(others):
        if other.name == name:
            taken["name"] = taken["project_namespace.name"] = ["has already been taken"]
        if other.path.lower() == path.lower():
            taken["path"] = ["has already been taken"]
    if find_namespace(session, f"{namespace.full_path}/{path}"):
        taken["path"] = ["has already been taken"]
    if taken:
        raise message(400, taken)


def _update(request: Request) -> Answer:
    project = request.project(Role.MAINTAINER)
    given, session = request.params, request.session
    if not given:
        raise message(400, "400 Bad request - at least one parameter must be provided")
    role = project_role(session, request.identity, project)
    visibility = given.get("visibility") or project.visibility
    if visibility != project.visibility and role < Role.OWNER:
        raise forbidden()
    _check_visibility(visibility, project.namespace)
    name, path = given.get("name") or project.name, given.get("path") or project.path
    if path != project.path:
        if role < Role.OWNER:
            raise forbidden()
        check_path(path)
    _check_free(session, project.namespace, name, path, but=project.id)
    if branch := given.get("default_branch"):
        _change_default_branch(request, project, branch)
    project.name, project.path, project.visibility = name, path, visibility
    project.full_path = f"{project.namespace.full_path}/{path}"
    if "description" in given:
        project.description = given["description"]
    picture = changed_avatar(request, Owner.PROJECT, project.id)
    project.settings = {**project.settings, **changed_settings(given), **picture}
    project.updated_at = now()
    session.flush()
    return show_project(request, project)


def _change_default_branch(request: Request, project: Project, branch: str) -> None:
    if branch == project.default_branch:
        return
    repository = request.instance.repository(project.id)
    if repository.branches() and repository.branch(branch) is None:
        raise message(400, {"base": [f"Could not change HEAD: branch '{branch}' does not exist"]})
    repository.set_head(branch)
    project.default_branch = branch


def _delete(request: Request) -> Answer:
    """Remove the rows first: a repository without a row is swept at the next start, a row without one is an error."""
    with request.instance.store.write() as session:
        project = request.project(Role.OWNER, session=session)
        project_id = project.id
        session.delete(project)
    forget(request, project_id)
    return Response({"message": "202 Accepted"}, status=202)


def forget(request: Request, project_id: int) -> None:
    """Remove what the file system holds of a project that is no longer in the database."""
    request.instance.repository(project_id).delete()
    for hook in request.instance.hooks.on_project_deleted:
        hook(request.instance, project_id)


def _archive(archived: bool) -> Callable[[Request], Answer]:
    def handler(request: Request) -> Answer:
        project = request.project(Role.OWNER)
        project.archived = archived
        project.updated_at = now()
        return show_project(request, project)

    return handler


def _transfer(request: Request) -> Answer:
    project, session = request.project(Role.OWNER), request.session
    target = find_namespace(session, request.params["namespace"])
    if target is None or (target.is_group and not access.sees_group(session, request.identity, target)):
        raise not_found("Namespace")
    if group_role(session, request.identity, target) < Role.MAINTAINER:
        raise bad_request("Transfer failed, please contact an admin.")
    _check_free(session, target, project.name, project.path, but=project.id)
    project.namespace = target
    project.namespace_id = target.id
    project.full_path = f"{target.full_path}/{project.path}"
    session.flush()
    return Response(show_project(request, project))


def _users(request: Request) -> Answer:
    project, session = request.project(), request.session
    groups = [each.id for each in project.namespace.lineage()]
    users = {member.user.id: member.user for member in access.memberships(session, groups, project.id)}
    found = [user for _, user in sorted(users.items())]
    return paginate(request, found, lambda user: show_user(request.instance, user))


def _groups(request: Request) -> Answer:
    project = request.project()
    found = [each for each in project.namespace.lineage() if each.is_group]

    def show(group: Namespace) -> dict[str, Any]:
        shown = show_namespace(request.instance, group)
        names = ("id", "name", "avatar_url", "web_url", "full_path")
        return {**{name: shown[name] for name in names}, "full_name": group.full_name}

    return paginate(request, found, show)


LIST_PARAMETERS: tuple[Parameter, ...] = (
    string("order_by", values=_ORDERS),
    string("sort", values=("asc", "desc")),
    boolean("archived"),
    string("visibility", values=tuple(Visibility)),
    string("search"),
    boolean("search_namespaces"),
    boolean("owned"),
    boolean("starred"),
    boolean("imported"),
    boolean("membership"),
    boolean("simple"),
    boolean("statistics"),
    integer("min_access_level", values=(10, 15, 20, 30, 40, 50)),
)

_COMMON: tuple[Parameter, ...] = (
    string("name"),
    string("path"),
    string("default_branch"),
    string("description"),
    string("visibility", values=tuple(Visibility)),
    *PARAMETERS,
)


def _of_user(request: Request) -> Answer:
    user = found_user(request)
    owned = select(Namespace.id).where(Namespace.owner_id == user.id, Namespace.kind == NamespaceKind.USER)
    return list_projects(request, Project.namespace_id.in_(owned))


ROUTES = (
    get("/users/:id/projects", _of_user),
    get("/projects", _list, *LIST_PARAMETERS, entry=Entry.ANYONE),
    post(
        "/projects",
        _create,
        integer("namespace_id"),
        boolean("initialize_with_readme"),
        *_COMMON,
        transaction=Transaction.OWN,
    ),
    get("/projects/:id", _show, boolean("statistics"), boolean("license"), entry=Entry.ANYONE, job_token=True),
    put("/projects/:id", _update, *_COMMON),
    delete("/projects/:id", _delete, transaction=Transaction.OWN),
    post("/projects/:id/archive", _archive(True)),
    post("/projects/:id/unarchive", _archive(False)),
    put("/projects/:id/transfer", _transfer, string("namespace", required=True)),
    get("/projects/:id/users", _users, string("search")),
    get("/projects/:id/groups", _groups),
)
