"""Who is asking, and what they may do: GitLab's roles, inherited down groups and through shares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sqlalchemy import ColumnElement, false, or_, select, true
from sqlalchemy.orm import Session

from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.issue import Issue
from infra.lab.gitlab.store.member import Member, Share
from infra.lab.gitlab.store.namespace import Namespace, NamespaceKind, Visibility, descendants
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.token import AccessToken, DeployToken
from infra.lab.gitlab.store.user import User


class Role(IntEnum):
    """GitLab's access levels."""

    NONE = 0
    MINIMAL = 5
    GUEST = 10
    PLANNER = 15
    REPORTER = 20
    DEVELOPER = 30
    MAINTAINER = 40
    OWNER = 50
    ADMIN = 60
    """Only in protection rules: nobody but administrators."""


ASSIGNABLE_ROLES = (Role.GUEST, Role.PLANNER, Role.REPORTER, Role.DEVELOPER, Role.MAINTAINER, Role.OWNER)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who is asking: a user with all their rights (a session), through a token, a job or a deploy token, or nobody."""

    user: User | None = None
    token: AccessToken | None = None
    deploy_token: DeployToken | None = None
    job: Any = None
    """The running job, when a job token was shown; `user` is who started it, `job_project_id` is its project."""
    job_project_id: int | None = None
    scopes: frozenset[str] | None = None
    """What the token opens; None: everything."""
    session_key: str | None = field(default=None, repr=False)
    """Of a browser session, for its CSRF tokens."""

    @property
    def anonymous(self) -> bool:
        """Nobody showed who they are."""
        return self.user is None and self.deploy_token is None

    @property
    def admin(self) -> bool:
        """An administrator. A job of an administrator has no administrator's rights."""
        return self.user is not None and self.user.admin and self.job is None

    @property
    def user_id(self) -> int | None:
        """The user's id, if there is a user."""
        return None if self.user is None else self.user.id

    def has_scope(self, *names: str) -> bool:
        """Whether the token carries one of these scopes."""
        return self.scopes is None or not self.scopes.isdisjoint(names)


ANONYMOUS = Identity()


def role_in_group(session: Session, user: User | None, group: Namespace) -> Role:
    """The user's role in a group: the highest of their membership in it, in its ancestors, and through shares."""
    if user is None:
        return Role.NONE
    if group.kind == NamespaceKind.USER:
        return Role.OWNER if group.owner_id == user.id else Role.NONE
    return _highest(session, user, group_ids=[each.id for each in group.lineage()], project_id=None)


def role_in_project(session: Session, user: User | None, project: Project) -> Role:
    """The user's role in a project, from the project, its groups and shares; owner in their personal namespace."""
    if user is None:
        return Role.NONE
    if project.namespace.kind == NamespaceKind.USER and project.namespace.owner_id == user.id:
        return Role.OWNER
    ids = [each.id for each in project.namespace.lineage()]
    return _highest(session, user, group_ids=ids, project_id=project.id)


def _highest(session: Session, user: User, *, group_ids: list[int], project_id: int | None) -> Role:
    levels = [member.access_level for member in memberships(session, group_ids, project_id, user_id=user.id)]
    today = now().date().isoformat()
    shares = session.scalars(
        select(Share).where(
            or_(Share.group_id.in_(group_ids), Share.project_id == project_id if project_id else false()),
            or_(Share.expires_at.is_(None), Share.expires_at > today),
        )
    )
    for share in shares:
        invited = [each.id for each in share.shared_with.lineage()]
        through = [member.access_level for member in memberships(session, invited, None, user_id=user.id)]
        levels += [min(share.access_level, level) for level in through]
    return Role(max(levels, default=0))


def memberships(
    session: Session, group_ids: Iterable[int], project_id: int | None, *, user_id: int | None = None
) -> list[Member]:
    """The memberships that hold today in these groups and this project."""
    statement = select(Member).where(
        or_(Member.group_id.in_(list(group_ids)), Member.project_id == project_id if project_id else false()),
        or_(Member.expires_at.is_(None), Member.expires_at > now().date().isoformat()),
    )
    if user_id is not None:
        statement = statement.where(Member.user_id == user_id)
    return list(session.scalars(statement.order_by(Member.id)))


def project_role(session: Session, identity: Identity, project: Project) -> Role:
    """The role of whoever asks, in a project: administrators are owners everywhere."""
    return Role.OWNER if identity.admin else role_in_project(session, identity.user, project)


def group_role(session: Session, identity: Identity, group: Namespace) -> Role:
    """The role of whoever asks, in a group: administrators are owners everywhere."""
    return Role.OWNER if identity.admin else role_in_group(session, identity.user, group)


def sees_project(session: Session, identity: Identity, project: Project) -> bool:
    """Whether the project exists for whoever asks. A deploy token sees its own project or group's projects."""
    if identity.admin or _open(project.visibility, identity):
        return True
    if identity.deploy_token is not None:
        return deploy_token_covers(identity.deploy_token, project)
    return role_in_project(session, identity.user, project) > Role.NONE


def sees_group(session: Session, identity: Identity, group: Namespace) -> bool:
    """Whether the group exists for whoever asks: also for members of something below it."""
    if identity.admin or _open(group.visibility, identity):
        return True
    if identity.user is None:
        return False
    if role_in_group(session, identity.user, group) > Role.NONE:
        return True
    below = [group.id, *(each.id for each in descendants(session, group))]
    member = select(Member.id).outerjoin(Project, Member.project_id == Project.id)
    member = member.where(
        Member.user_id == identity.user.id, or_(Member.group_id.in_(below), Project.namespace_id.in_(below))
    )
    return session.scalars(member.limit(1)).first() is not None


def reads_code(session: Session, identity: Identity, project: Project) -> bool:
    """Whether whoever asks may read the repository of a project that they see (Planner in a private one)."""
    if identity.admin:
        return True
    access = project.setting("repository_access_level")
    if access == "disabled":
        return False
    if identity.deploy_token is not None and deploy_token_covers(identity.deploy_token, project):
        return identity.has_scope("read_repository")
    if access == "enabled" and _open(project.visibility, identity):
        return True
    return role_in_project(session, identity.user, project) >= Role.PLANNER


def reads_issues(session: Session, identity: Identity, project: Project) -> bool:
    """Whether whoever asks may see issues at all of a project that they see."""
    access = project.setting("issues_access_level")
    return access == "enabled" or (access == "private" and project_role(session, identity, project) > Role.NONE)


def visible_issues(session: Session, identity: Identity, project: Project) -> ColumnElement[bool]:
    """A condition on Issue: those of a project that whoever asks may see; confidential ones are for few."""
    if not reads_issues(session, identity, project):
        return false()
    condition: ColumnElement[bool] = Issue.confidential.is_(False)
    if project_role(session, identity, project) >= Role.PLANNER:
        condition = true()
    elif identity.user_id is not None:
        condition = or_(condition, Issue.author_id == identity.user_id, Issue.assignee_id == identity.user_id)
    return (Issue.project_id == project.id) & condition


def visible_projects(session: Session, identity: Identity) -> ColumnElement[bool]:
    """A condition on Project: those that whoever asks may see."""
    if identity.admin:
        return true()
    open_levels = [level for level in Visibility if _open(level, identity)]
    if identity.user is None:
        return Project.visibility.in_(open_levels)
    return or_(Project.visibility.in_(open_levels), member_projects(session, identity.user))


def member_projects(session: Session, user: User) -> ColumnElement[bool]:
    """A condition on Project: those in which the user has a role."""
    groups = member_group_ids(session, user)
    own = select(Member.project_id).where(Member.user_id == user.id, Member.project_id.is_not(None))
    shared = select(Share.project_id).where(Share.shared_with_id.in_(groups), Share.project_id.is_not(None))
    personal = select(Namespace.id).where(Namespace.owner_id == user.id)
    return or_(
        Project.id.in_(own),
        Project.id.in_(shared),
        Project.namespace_id.in_(personal),
        Project.namespace_id.in_(groups),
    )


def visible_groups(session: Session, identity: Identity) -> ColumnElement[bool]:
    """A condition on Namespace: groups that whoever asks may see."""
    groups = Namespace.kind == NamespaceKind.GROUP
    if identity.admin:
        return groups
    condition: ColumnElement[bool] = Namespace.visibility.in_([each for each in Visibility if _open(each, identity)])
    if identity.user is not None:
        seen = set(member_group_ids(session, identity.user))
        projects = session.scalars(select(Project).where(member_projects(session, identity.user)))
        seen |= {each.id for project in projects for each in project.namespace.lineage()}
        for group_id in list(seen):
            group = session.get(Namespace, group_id)
            seen |= {each.id for each in group.lineage()} if group else set()
        condition = or_(condition, Namespace.id.in_(seen))
    return groups & condition


def member_group_ids(session: Session, user: User) -> list[int]:
    """Groups in which the user has a role, with all groups below them and those shared with them."""
    direct = select(Member.group_id).where(
        Member.user_id == user.id,
        Member.group_id.is_not(None),
        or_(Member.expires_at.is_(None), Member.expires_at > now().date().isoformat()),
    )
    found = list(session.scalars(select(Namespace).where(Namespace.id.in_(direct))))
    found += session.scalars(
        select(Namespace).join(Share, Share.group_id == Namespace.id).where(Share.shared_with_id.in_(direct))
    )
    ids = {group.id for group in found}
    for group in found:
        ids |= {each.id for each in descendants(session, group)}
    return sorted(ids)


def deploy_token_covers(token: DeployToken, project: Project) -> bool:
    """Whether a deploy token was made for this project or a group above it."""
    if token.project_id is not None:
        return token.project_id == project.id
    return any(each.id == token.group_id for each in project.namespace.lineage())


def _open(visibility: str, identity: Identity) -> bool:
    if visibility == Visibility.PUBLIC:
        return True
    return visibility == Visibility.INTERNAL and identity.user is not None and not identity.user.external
