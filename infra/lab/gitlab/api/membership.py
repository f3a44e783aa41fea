"""What a user is a member of, for administrators."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import string
from infra.lab.gitlab.api.route import Answer, Entry, Request, get
from infra.lab.gitlab.api.user import found
from infra.lab.gitlab.store.member import Member
from infra.lab.gitlab.store.namespace import Namespace
from infra.lab.gitlab.store.project import Project


def _list(request: Request) -> Answer:
    user, kind = found(request), request.params.get("type")
    statement = select(Member).where(Member.user_id == user.id).order_by(Member.id)
    if kind:
        column = Member.project_id if kind == "Project" else Member.group_id
        statement = statement.where(column.is_not(None))
    return paginate(request, statement, lambda each: _show(request, each))


def _show(request: Request, member: Member) -> dict[str, Any]:
    """API_Entities_Membership."""
    project = request.session.get(Project, member.project_id) if member.project_id else None
    group = request.session.get(Namespace, member.group_id) if member.group_id else None
    source = project or group
    return {
        "source_id": source.id if source else None,
        "source_name": source.name if source else None,
        "source_type": "Project" if project else "Namespace",
        "access_level": member.access_level,
    }


ROUTES = (get("/users/:id/memberships", _list, string("type", values=("Project", "Namespace")), entry=Entry.ADMIN),)
