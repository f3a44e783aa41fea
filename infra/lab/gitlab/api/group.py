"""Groups."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from infra.lab.gitlab import access
from infra.lab.gitlab.access import ASSIGNABLE_ROLES, Role, group_role
from infra.lab.gitlab.api.avatar import Owner, changed_avatar
from infra.lab.gitlab.api.error import conflict, forbidden, message, not_found, parameter
from infra.lab.gitlab.api.group_entity import DEFAULTS, DETAIL_DEFAULTS, show_detail, show_group
from infra.lab.gitlab.api.page import paginate
from infra.lab.gitlab.api.parameter import Kind, Parameter, array, boolean, day, hash_of, integer, string, upload
from infra.lab.gitlab.api.project import LIST_PARAMETERS, check_path, forget, list_projects
from infra.lab.gitlab.api.route import Answer, Entry, Request, Transaction, delete, get, post, put
from infra.lab.gitlab.store.member import Member, Share
from infra.lab.gitlab.store.namespace import Namespace, NamespaceKind, Visibility, descendants, find_namespace
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.setting import settings_of

_LEVELS = {0: (30, 30), 1: (30, 40), 2: (40, 40), 3: (40, 30), 4: (40, 40)}
"""`default_branch_protection` by push and merge levels (doc/api/groups.md, "Options for default_branch_protection")."""


def _page(request: Request, statement: Select[Namespace]) -> Answer:
    given, session, user = request.params, request.session, request.identity.user
    statement = statement.where(access.visible_groups(session, request.identity))
    if text := given.get("search"):
        by_name = Namespace.name.icontains(text, autoescape=True) | Namespace.path.icontains(text, autoescape=True)
        statement = statement.where(or_(by_name, Namespace.full_path.icontains(text, autoescape=True)))
    if given.get("visibility"):
        statement = statement.where(Namespace.visibility == given["visibility"])
    if given.get("top_level_only"):
        statement = statement.where(Namespace.parent_id.is_(None))
    if skipped := given.get("skip_groups"):
        statement = statement.where(Namespace.id.not_in([int(each) for each in skipped if each.isdecimal()]))
    least = Role.OWNER if given.get("owned") else given.get("min_access_level")
    if least and user is not None:
        held = [each.id for each in session.scalars(statement) if access.role_in_group(session, user, each) >= least]
        statement = statement.where(Namespace.id.in_(held))
    elif given.get("all_available") is False and user is not None and not user.admin:
        statement = statement.where(Namespace.id.in_(access.member_group_ids(session, user)))
    column = {"id": Namespace.id, "path": Namespace.full_path}.get(given.get("order_by") or "name", Namespace.name)
    descending = given.get("sort") == "desc"
    by_id = Namespace.id.desc() if descending else Namespace.id
    statement = statement.order_by(column.desc() if descending else column, by_id)
    return paginate(request, statement, lambda each: show_group(request, each))


def _list(request: Request) -> Answer:
    return _page(request, select(Namespace))


def _subgroups(request: Request) -> Answer:
    return _page(request, select(Namespace).where(Namespace.parent_id == request.group().id))


def _descendants(request: Request) -> Answer:
    below = [each.id for each in descendants(request.session, request.group())]
    return _page(request, select(Namespace).where(Namespace.id.in_(below)))


def _show(request: Request) -> Answer:
    return show_detail(request, request.group(), projects=request.params["with_projects"])


def _create(request: Request) -> Answer:
    given, session, user = request.params, request.session, request.user
    parent = _parent(request, given.get("parent_id"))
    if parent is None and not (request.identity.admin or user.profile.get("can_create_group", True)):
        raise forbidden()
    check_path(given["path"])
    path = f"{parent.full_path}/{given['path']}" if parent else given["path"]
    default = parent.visibility if parent else settings_of(session)["default_group_visibility"]
    visibility = given.get("visibility") or default
    _check_visibility(visibility, parent)
    _check_free(session, path)
    group = Namespace(
        name=given["name"],
        path=given["path"],
        full_path=path,
        parent_id=parent.id if parent else None,
        parent=parent,
        description=given.get("description") or "",
        visibility=visibility,
        settings=_changed(given),
    )
    session.add(group)
    session.flush()
    group.settings = {**group.settings, **changed_avatar(request, Owner.GROUP, group.id)}
    session.add(Member(user_id=user.id, group_id=group.id, access_level=Role.OWNER, created_by_id=user.id))
    return show_detail(request, group)


def _parent(request: Request, parent_id: int | None) -> Namespace | None:
    if parent_id is None:
        return None
    parent = find_namespace(request.session, parent_id, kind=NamespaceKind.GROUP)
    if parent is None or not access.sees_group(request.session, request.identity, parent):
        raise not_found("Group")
    level = {**DEFAULTS, **parent.settings}["subgroup_creation_level"]
    least = Role.OWNER if level == "owner" else Role.MAINTAINER
    request.require(group_role(request.session, request.identity, parent), least)
    return parent


def _check_visibility(visibility: str, parent: Namespace | None) -> None:
    if parent is not None and Visibility(visibility).rank > Visibility(parent.visibility).rank:
        text = f"{visibility} is not allowed since the parent group has a {parent.visibility} visibility."
        raise message(400, {"visibility_level": [text]})


def _check_free(session: Session, path: str, *, but: int | None = None) -> None:
    """400 in the words of GitLab, which shows Ruby's inspection of a hash."""
    holder = find_namespace(session, path) if not path.isdecimal() else None
    project = session.scalars(select(Project.id).where(Project.full_path == path)).first()
    if project is not None or (holder is not None and holder.id != but):
        raise message(400, 'Failed to save group {:path=>["has already been taken"]}')


def _changed(given: dict[str, Any]) -> dict[str, Any]:
    kept = (*DEFAULTS, *DETAIL_DEFAULTS, "default_branch_protection", "default_branch_protection_defaults")
    changed = {name: given[name] for name in kept if name in given}
    if given.get("emails_disabled") is not None:
        changed["emails_enabled"] = not given["emails_disabled"]
    level = changed.get("default_branch_protection")
    if level is not None and "default_branch_protection_defaults" not in changed:
        push, merge = _LEVELS[level]
        changed["default_branch_protection_defaults"] = {
            "allowed_to_push": [{"access_level": push}],
            "allow_force_push": level == 0,
            "allowed_to_merge": [{"access_level": merge}],
            "developer_can_initial_push": level in (0, 1, 4),
        }
    return changed


def _update(request: Request) -> Answer:
    group, given = request.group(Role.OWNER), request.params
    visibility = given.get("visibility") or group.visibility
    _check_visibility(visibility, group.parent)
    if given.get("path") and given["path"] != group.path:
        check_path(given["path"])
        _rename(request.session, group, given["path"], group.parent)
    group.visibility = visibility
    group.name = given.get("name") or group.name
    if given.get("description") is not None:
        group.description = given["description"]
    group.settings = {**group.settings, **_changed(given), **changed_avatar(request, Owner.GROUP, group.id)}
    return show_detail(request, group, projects=False)


def _rename(session: Session, group: Namespace, path: str, parent: Namespace | None) -> None:
    """Give a group, and so all that is below it, another full path."""
    full = f"{parent.full_path}/{path}" if parent else path
    _check_free(session, full, but=group.id)
    below = descendants(session, group)
    projects = list(session.scalars(select(Project).where(Project.namespace_id.in_([g.id for g in (group, *below)]))))
    length = len(group.full_path)
    for each in below:
        each.full_path = full + each.full_path[length:]
    for project in projects:
        project.full_path = full + project.full_path[length:]
    group.path, group.full_path = path, full
    session.flush()


def _transfer(request: Request) -> Answer:
    group, target_id = request.group(Role.OWNER), request.params.get("group_id")
    target = _parent(request, target_id)
    if target is None and group.parent_id is None:
        raise message(400, "Transfer failed: Group is already a root group.")
    if target is not None:
        if target.id == group.parent_id:
            raise message(400, "Transfer failed: Group is already associated to the parent group.")
        if group.id in [each.id for each in target.lineage()]:
            raise message(400, "Transfer failed: Cannot transfer group to one of its subgroup.")
        _check_visibility(group.visibility, target)
    _rename(request.session, group, group.path, target)
    group.parent = target
    request.session.flush()
    return show_detail(request, group)


def _delete(request: Request) -> Answer:
    """Remove the group with everything below it: rows first, then repositories."""
    with request.instance.store.write() as session:
        group = request.group(Role.OWNER, session=session)
        below = [group.id, *(each.id for each in descendants(session, group))]
        projects = list(session.scalars(select(Project.id).where(Project.namespace_id.in_(below))))
        session.delete(group)
    for project_id in projects:
        forget(request, project_id)
    return None


def _projects(request: Request) -> Answer:
    group = request.group()
    ids = [group.id]
    if request.params.get("include_subgroups"):
        ids += [each.id for each in descendants(request.session, group)]
    condition: ColumnElement[bool] = Project.namespace_id.in_(ids)
    if request.params["with_shared"]:
        shared = select(Share.project_id).where(Share.shared_with_id == group.id, Share.project_id.is_not(None))
        condition = or_(condition, Project.id.in_(shared))
    return list_projects(request, condition)


def _share(request: Request) -> Answer:
    group, given, session = request.group(Role.OWNER), request.params, request.session
    target = find_namespace(session, given["group_id"], kind=NamespaceKind.GROUP)
    if target is None or not access.sees_group(session, request.identity, target):
        raise not_found("Group")
    if target.id == group.id:
        raise parameter("group_id is invalid")
    if session.scalars(select(Share).where(Share.group_id == group.id, Share.shared_with_id == target.id)).first():
        raise conflict("Shared group has already been taken")
    share = Share(
        group_id=group.id,
        shared_with_id=target.id,
        access_level=given["group_access"],
        expires_at=given.get("expires_at"),
    )
    session.add(share)
    session.flush()
    return show_detail(request, group)


def _unshare(request: Request) -> Answer:
    group, target = request.group(Role.OWNER), request.number("group_id")
    found = select(Share).where(Share.group_id == group.id, Share.shared_with_id == target)
    share = request.session.scalars(found).first()
    if share is None:
        raise not_found("Group Link")
    request.session.delete(share)
    return None


_VISIBILITIES = tuple(Visibility)
_FIELDS: tuple[Parameter, ...] = (
    string("description"),
    string("visibility", values=_VISIBILITIES),
    *(
        boolean(name)
        for name in (
            "share_with_group_lock",
            "require_two_factor_authentication",
            "auto_devops_enabled",
            "emails_disabled",
            "emails_enabled",
            "show_diff_preview_in_email",
            "mentions_disabled",
            "lfs_enabled",
            "request_access_enabled",
            "math_rendering_limits_enabled",
            "lock_math_rendering_limits_enabled",
            "prevent_sharing_groups_outside_hierarchy",
        )
    ),
    integer("two_factor_grace_period"),
    upload("avatar"),
    string("project_creation_level", values=("noone", "owner", "maintainer", "developer", "administrator")),
    string("subgroup_creation_level", values=("owner", "maintainer")),
    string("default_branch"),
    integer("default_branch_protection", values=tuple(_LEVELS)),
    hash_of("default_branch_protection_defaults"),
    integer("max_artifacts_size"),
    Parameter(
        name="shared_runners_setting",
        kind=Kind.STRING,
        values=("disabled_and_unoverridable", "disabled_and_overridable", "enabled"),
    ),
    string("enabled_git_access_protocol", values=("ssh", "http", "all")),
)
_LIST: tuple[Parameter, ...] = (
    array("skip_groups"),
    boolean("all_available"),
    string("visibility", values=_VISIBILITIES),
    string("search"),
    boolean("owned"),
    string("order_by", values=("name", "path", "id", "similarity")),
    string("sort", values=("asc", "desc")),
    integer("min_access_level", values=ASSIGNABLE_ROLES),
    boolean("top_level_only"),
)

ROUTES = (
    get("/groups", _list, *_LIST, entry=Entry.ANYONE),
    post(
        "/groups", _create, string("name", required=True), string("path", required=True), integer("parent_id"), *_FIELDS
    ),
    get("/groups/:id", _show, boolean("with_projects", default=True), entry=Entry.ANYONE),
    put("/groups/:id", _update, string("name"), string("path"), *_FIELDS),
    delete("/groups/:id", _delete, transaction=Transaction.OWN),
    get("/groups/:id/subgroups", _subgroups, *_LIST, entry=Entry.ANYONE),
    get("/groups/:id/descendant_groups", _descendants, *_LIST, entry=Entry.ANYONE),
    get(
        "/groups/:id/projects",
        _projects,
        *LIST_PARAMETERS,
        boolean("with_shared", default=True),
        boolean("include_subgroups"),
        entry=Entry.ANYONE,
    ),
    post("/groups/:id/transfer", _transfer, integer("group_id")),
    post(
        "/groups/:id/share",
        _share,
        integer("group_id", required=True),
        integer("group_access", required=True, values=ASSIGNABLE_ROLES),
        day("expires_at"),
    ),
    delete("/groups/:id/share/:group_id", _unshare),
)
