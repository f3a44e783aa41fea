"""Namespaces: groups and personal ones, as a place for projects."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Role, group_role, member_group_ids, visible_groups
from infra.lab.gitlab.api.error import not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import boolean, integer, string
from infra.lab.gitlab.api.route import Answer, Request, get
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.store.member import Member
from infra.lab.gitlab.store.namespace import Namespace, descendants, find_namespace
from infra.lab.gitlab.store.project import Project


def show_namespace(instance: Instance, namespace: Namespace) -> dict[str, Any]:
    """API_Entities_NamespaceBasic, as a project names its namespace."""
    page = f"/groups/{namespace.full_path}" if namespace.is_group else f"/{namespace.full_path}"
    return {
        "id": namespace.id,
        "name": namespace.name,
        "path": namespace.path,
        "kind": namespace.kind,
        "full_path": namespace.full_path,
        "parent_id": namespace.parent_id,
        "avatar_url": None,
        "web_url": instance.url(page),
    }


def _show_whole(request: Request, namespace: Namespace) -> dict[str, Any]:
    shown = show_namespace(request.instance, namespace)
    if group_role(request.session, request.identity, namespace) >= Role.OWNER:
        shown |= _counts(request.session, namespace)
    return shown


def _counts(session: Session, namespace: Namespace) -> dict[str, Any]:
    below = [namespace.id, *(each.id for each in descendants(session, namespace))]
    members = select(func.count(func.distinct(Member.user_id))).where(Member.group_id.in_(below))
    projects = select(func.count()).select_from(Project).where(Project.namespace_id.in_(below))
    return {
        "members_count_with_descendants": session.scalar(members),
        "root_repository_size": None,
        "projects_count": session.scalar(projects),
    }


def _list(request: Request) -> Answer:
    session, user = request.session, request.user
    personal = Namespace.owner_id == user.id
    if request.identity.admin:
        statement = select(Namespace)
    else:
        statement = select(Namespace).where(or_(personal, Namespace.id.in_(member_group_ids(session, user))))
    if request.params.get("owned_only"):
        statement = statement.where(personal)
    if request.params.get("top_level_only"):
        statement = statement.where(Namespace.parent_id.is_(None))
    if text := request.params.get("search"):
        by_path = Namespace.path.icontains(text, autoescape=True) | Namespace.name.icontains(text, autoescape=True)
        statement = statement.where(or_(by_path, Namespace.full_path.icontains(text, autoescape=True)))
    return paginate(request, statement.order_by(Namespace.id), lambda each: _show_whole(request, each))


def _show(request: Request) -> Answer:
    namespace = find_namespace(request.session, request.segment("id"))
    if namespace is None:
        raise not_found("Namespace")
    seen = select(Namespace.id).where(Namespace.id == namespace.id, visible_groups(request.session, request.identity))
    own = namespace.owner_id == request.user.id or request.identity.admin
    if not own and request.session.scalars(seen).first() is None:
        raise not_found("Namespace")
    return _show_whole(request, namespace)


def _exists(request: Request) -> Answer:
    path, parent = request.segment("id"), request.params.get("parent_id")
    taken = select(Namespace.id).where(and_(func.lower(Namespace.path) == path.lower(), Namespace.parent_id == parent))
    exists = request.session.scalars(taken).first() is not None
    return {"exists": exists, "suggests": [f"{path}1"] if exists else []}


ROUTES = (
    get(
        "/namespaces",
        _list,
        string("search"),
        boolean("owned_only"),
        boolean("top_level_only"),
    ),
    get("/namespaces/:id", _show),
    get("/namespaces/:id/exists", _exists, integer("parent_id")),
)
