"""CI/CD variables of projects, groups and the instance."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, select

from infra.lab.gitlab.access import Role
from infra.lab.gitlab.api.error import message, not_found
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Parameter, boolean, hash_of, string
from infra.lab.gitlab.api.route import Answer, Entry, Request, Route, delete, get, post, put
from infra.lab.gitlab.store.variable import ANY_ENVIRONMENT, Variable

_KEY = re.compile(r"[a-zA-Z0-9_]{1,255}")
_MASKABLE = re.compile(r"[a-zA-Z0-9_+=/@:.~-]{8,}")
"""What a masked value that is expanded may consist of (doc/ci/variables/_index.md, "Mask a CI/CD variable")."""
_RAW_MASKABLE = re.compile(r"\S{8,}")
_VALUE_LIMIT = 10_000


def show_variable(variable: Variable) -> dict[str, Any]:
    """API_Entities_Ci_Variable. A hidden value is never shown again; the instance's variables have no scope."""
    shown = {
        "variable_type": variable.variable_type,
        "key": variable.key,
        "value": None if variable.hidden else variable.value,
        "protected": variable.protected,
        "masked": variable.masked,
        "raw": variable.raw,
        "description": variable.description,
    }
    if variable.project_id is None and variable.group_id is None:
        return shown
    return {**shown, "hidden": variable.hidden, "environment_scope": variable.environment_scope}


def _place(request: Request) -> tuple[int | None, int | None]:
    """The project's or group's id. Reading takes a maintainer too: the values are secrets."""
    if request.route.path.startswith("/projects/"):
        return request.project(Role.MAINTAINER).id, None
    if request.route.path.startswith("/groups/"):
        return None, request.group(Role.OWNER).id
    return None, None


def _mine(request: Request) -> ColumnElement[bool]:
    project_id, group_id = _place(request)
    return (Variable.project_id.is_(project_id) if project_id is None else Variable.project_id == project_id) & (
        Variable.group_id.is_(group_id) if group_id is None else Variable.group_id == group_id
    )


def _list(request: Request) -> Answer:
    return paginate(request, select(Variable).where(_mine(request)).order_by(Variable.id), show_variable)


def _found(request: Request) -> Variable:
    statement = select(Variable).where(_mine(request), Variable.key == request.segment("key")).order_by(Variable.id)
    wanted = (request.params.get("filter") or {}).get("environment_scope")
    if wanted:
        statement = statement.where(Variable.environment_scope == wanted)
    variables = list(request.session.scalars(statement))
    if not variables:
        raise not_found(f"{'Instance ' if request.route.path.startswith('/admin') else ''}Variable")
    if len(variables) > 1:
        raise message(
            409, "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'"
        )
    return variables[0]


def _show(request: Request) -> Answer:
    return show_variable(_found(request))


def _create(request: Request) -> Answer:
    given = request.params
    condition = _mine(request)
    project_id, group_id = _place(request)
    hidden = given.get("masked_and_hidden") or False
    variable = Variable(
        project_id=project_id,
        group_id=group_id,
        key=given["key"],
        value=given["value"] or "",
        variable_type=given.get("variable_type") or "env_var",
        protected=given.get("protected") or False,
        masked=given.get("masked") or hidden,
        hidden=hidden,
        raw=given.get("raw") or False,
        environment_scope=given.get("environment_scope") or ANY_ENVIRONMENT,
        description=given.get("description"),
    )
    _check(request, variable, condition)
    request.session.add(variable)
    request.session.flush()
    return show_variable(variable)


def _update(request: Request) -> Answer:
    variable, given = _found(request), request.params
    for name in ("value", "variable_type", "protected", "masked", "raw", "environment_scope"):
        if given.get(name) is not None:
            setattr(variable, name, given[name])
    if "description" in given:
        variable.description = given["description"]
    if variable.hidden and not variable.masked:
        raise message(400, {"masked": ["cannot be changed for hidden variables"]})
    _check(request, variable, _mine(request))
    request.session.flush()
    return show_variable(variable)


def _check(request: Request, variable: Variable, place: ColumnElement[bool]) -> None:
    """400 in GitLab's words when the variable cannot be as it is."""
    problems: dict[str, list[str]] = {}
    if not _KEY.fullmatch(variable.key):
        problems["key"] = ["can contain only letters, digits and '_'."]
    if len(variable.value.encode()) > _VALUE_LIMIT:
        problems["value"] = [f"is too long (maximum is {_VALUE_LIMIT} characters)"]
    pattern = _RAW_MASKABLE if variable.raw else _MASKABLE
    if variable.masked and not pattern.fullmatch(variable.value):
        problems["value"] = ["is invalid"]
    same = select(Variable.id).where(
        place,
        Variable.key == variable.key,
        Variable.environment_scope == variable.environment_scope,
        Variable.id != (variable.id or 0),
    )
    with request.session.no_autoflush:
        if request.session.scalars(same).first() is not None:
            problems["key"] = [f"({variable.key}) has already been taken"]
    if problems:
        raise message(400, problems)


def _delete(request: Request) -> Answer:
    request.session.delete(_found(request))
    return None


_FIELDS: tuple[Parameter, ...] = (
    boolean("protected"),
    boolean("masked"),
    boolean("raw"),
    string("variable_type", values=("env_var", "file")),
    string("environment_scope"),
    string("description"),
)
_FILTER = hash_of("filter", string("environment_scope"))


def _routes(path: str, entry: Entry = Entry.USER) -> tuple[Route, ...]:
    create = (string("key", required=True), string("value", required=True), boolean("masked_and_hidden"), *_FIELDS)
    return (
        get(path, _list, entry=entry),
        post(path, _create, *create, entry=entry),
        get(f"{path}/:key", _show, _FILTER, entry=entry),
        put(f"{path}/:key", _update, string("value"), _FILTER, *_FIELDS, entry=entry),
        delete(f"{path}/:key", _delete, _FILTER, entry=entry),
    )


ROUTES = (
    *_routes("/projects/:id/variables"),
    *_routes("/groups/:id/variables"),
    *_routes("/admin/ci/variables", Entry.ADMIN),
)
