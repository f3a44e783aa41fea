"""Topics: those that projects carry. They have no life of their own here, and so no endpoint that takes their id."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import select

from infra.lab.gitlab.access import visible_projects
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import string
from infra.lab.gitlab.api.route import Answer, Entry, Request, get
from infra.lab.gitlab.store.project import Project


def _list(request: Request) -> Answer:
    projects = request.session.scalars(select(Project).where(visible_projects(request.session, request.identity)))
    counts = Counter(name for project in projects for name in project.setting("topics"))
    text = (request.params.get("search") or "").lower()
    named = [(number, *each) for number, each in enumerate(sorted(counts.items()), start=1) if text in each[0].lower()]

    def show(row: tuple[int, str, int]) -> dict[str, Any]:
        """API_Entities_Projects_Topic."""
        number, name, count = row
        return {
            "id": number,
            "name": name,
            "title": name,
            "description": None,
            "total_projects_count": count,
            "organization_id": 1,
            "avatar_url": None,
        }

    return paginate(request, sorted(named, key=lambda row: -row[2]), show)


ROUTES = (get("/topics", _list, string("search"), entry=Entry.ANYONE),)
