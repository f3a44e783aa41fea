"""What the lists of issues and of merge requests are narrowed by and ordered by alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import Select, or_

from infra.lab.gitlab.store.issue import Issue
from infra.lab.gitlab.store.merge_request import MergeRequest

Listed = TypeVar("Listed", Issue, MergeRequest)


def narrowed(model: type[Listed], given: Mapping[str, Any], statement: Select[Listed]) -> Select[Listed]:
    """The statement for the parameters `state`, `iids`, `search`, those of time, `order_by` and `sort`."""
    if given["state"] != "all":
        statement = statement.where(model.state == given["state"])
    if given.get("iids"):
        statement = statement.where(model.iid.in_([int(each) for each in given["iids"] if each.isdecimal()]))
    if text := given.get("search"):
        found = (model.title, model.description)
        statement = statement.where(or_(*(column.icontains(text, autoescape=True) for column in found)))
    for name in ("created", "updated"):
        column = getattr(model, f"{name}_at")
        if given.get(f"{name}_after"):
            statement = statement.where(column >= given[f"{name}_after"])
        if given.get(f"{name}_before"):
            statement = statement.where(column <= given[f"{name}_before"])
    column = getattr(model, given["order_by"])
    return statement.order_by(column.asc() if given["sort"] == "asc" else column.desc(), model.id.desc())
