"""Roles, and who may push what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import (
    ANONYMOUS,
    Identity,
    Role,
    project_role,
    reads_code,
    role_in_group,
    role_in_project,
    sees_group,
    sees_project,
    visible_groups,
    visible_projects,
)
from infra.lab.gitlab.bootstrap import create_user
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.push import NO_OTHER_REF, NO_PROTECTED_PUSH, NO_PUSH, NO_TAG_CHANGE, RefChange, decide
from infra.lab.gitlab.store.base import Store
from infra.lab.gitlab.store.member import Member, Share
from infra.lab.gitlab.store.namespace import Namespace
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.protection import Action, Protection, ProtectionAccess, RefKind
from infra.lab.gitlab.store.token import DeployToken
from infra.lab.gitlab.store.user import User

SHA, OTHER = "a" * 40, "b" * 40


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    store = Store(tmp_path / "test.sqlite3")
    store.create()
    with store.write() as opened:
        yield opened
    store.close()


@pytest.fixture
def user(session: Session) -> User:
    return create_user(session, username="ada", name="Ada", email="ada@example.org")


def group(session: Session, path: str, parent: Namespace | None = None, visibility: str = "private") -> Namespace:
    full = f"{parent.full_path}/{path}" if parent else path
    made = Namespace(name=path, path=path, full_path=full, parent=parent, visibility=visibility)
    session.add(made)
    session.flush()
    return made


def project(session: Session, namespace: Namespace, visibility: str = "private") -> Project:
    made = Project(
        namespace=namespace,
        name="p",
        path="p",
        full_path=f"{namespace.full_path}/p",
        visibility=visibility,
        settings={},
    )
    session.add(made)
    session.flush()
    return made


def join(session: Session, user: User, place: Namespace | Project, level: int, expires: str | None = None) -> None:
    column = "group_id" if isinstance(place, Namespace) else "project_id"
    session.add(Member(user_id=user.id, access_level=level, expires_at=expires, **{column: place.id}))
    session.flush()


def test_roles_come_down_from_groups_and_the_highest_counts(session: Session, user: User) -> None:
    top = group(session, "top")
    inner = group(session, "inner", top)
    made = project(session, inner)
    assert role_in_project(session, user, made) == Role.NONE
    join(session, user, top, 20)
    join(session, user, made, 30)
    assert role_in_project(session, user, made) == Role.DEVELOPER
    join(session, user, inner, 50)
    assert role_in_project(session, user, made) == Role.OWNER
    assert role_in_group(session, user, top) == Role.REPORTER


def test_a_membership_ends_on_its_day(session: Session, user: User) -> None:
    place = group(session, "g")
    join(session, user, place, 40, expires="2020-01-01")
    assert role_in_group(session, user, place) == Role.NONE


def test_a_share_gives_no_more_than_it_says(session: Session, user: User) -> None:
    place, other = group(session, "g"), group(session, "other")
    made = project(session, place)
    join(session, user, other, 50)
    session.add(Share(project_id=made.id, shared_with_id=other.id, access_level=20))
    session.flush()
    assert role_in_project(session, user, made) == Role.REPORTER
    assert role_in_group(session, user, place) == Role.NONE


@pytest.mark.parametrize(
    ("visibility", "by_anonymous", "by_user", "by_external"),
    [
        pytest.param("private", False, False, False, id="private"),
        pytest.param("internal", False, True, False, id="internal"),
        pytest.param("public", True, True, True, id="public"),
    ],
)
def test_visibility(
    session: Session, user: User, visibility: str, by_anonymous: bool, by_user: bool, by_external: bool
) -> None:
    place = group(session, "g", visibility=visibility)
    made = project(session, place, visibility)
    guest = create_user(session, username="ext", name="Ext", email="ext@example.org")
    guest.external = True
    for identity, expected in (
        (ANONYMOUS, by_anonymous),
        (Identity(user=user), by_user),
        (Identity(user=guest), by_external),
    ):
        assert sees_project(session, identity, made) is expected
        assert sees_group(session, identity, place) is expected
        assert reads_code(session, identity, made) is expected
        listed = session.query(Project).where(visible_projects(session, identity)).all()
        assert (made in listed) is expected
        assert (place in session.query(Namespace).where(visible_groups(session, identity)).all()) is expected


def test_members_below_see_the_groups_above(session: Session, user: User) -> None:
    top = group(session, "top")
    inner = group(session, "inner", top)
    join(session, user, project(session, inner), 10)
    identity = Identity(user=user)
    assert sees_group(session, identity, top)
    assert {top, inner} <= set(session.query(Namespace).where(visible_groups(session, identity)).all())
    assert not sees_group(session, identity, group(session, "top-secret"))


def test_guests_of_a_private_project_do_not_read_its_code(session: Session, user: User) -> None:
    made = project(session, group(session, "g"))
    join(session, user, made, 10)
    identity = Identity(user=user)
    assert (sees_project(session, identity, made), reads_code(session, identity, made)) == (True, False)


def test_a_deploy_token_covers_its_own_place_only(session: Session) -> None:
    place, other = group(session, "g"), group(session, "other")
    token = DeployToken(group_id=place.id, name="x", username="x", digest="x", scopes=["read_repository"])
    identity = Identity(deploy_token=token, scopes=frozenset(token.scopes))
    assert reads_code(session, identity, project(session, place))
    assert not reads_code(session, identity, project(session, other))


def test_an_administrators_job_is_no_administrator(session: Session, user: User) -> None:
    user.admin = True
    made = project(session, group(session, "g"))
    assert project_role(session, Identity(user=user), made) == Role.OWNER
    assert project_role(session, Identity(user=user, job=object()), made) == Role.NONE


def protect(session: Session, made: Project, kind: RefKind, name: str, action: Action, level: int) -> Protection:
    rule = Protection(project_id=made.id, kind=kind, name=name)
    rule.access.append(ProtectionAccess(action=action, access_level=level))
    session.add(rule)
    session.flush()
    return rule


@pytest.mark.parametrize(
    ("role", "level", "allowed"),
    [
        pytest.param(30, 40, False, id="developer-below-maintainer"),
        pytest.param(40, 40, True, id="maintainer"),
        pytest.param(30, 30, True, id="developer"),
        pytest.param(50, 0, False, id="no-one-means-no-one"),
        pytest.param(50, 60, False, id="administrators-only"),
    ],
)
def test_protected_branches_ask_for_a_role(session: Session, user: User, role: int, level: int, allowed: bool) -> None:
    made = project(session, group(session, "g"))
    join(session, user, made, role)
    protect(session, made, RefKind.BRANCH, "release-*", Action.PUSH, level)
    change = RefChange(ref="refs/heads/release-1", before=SHA, after=OTHER)
    decision = decide(session, Identity(user=user), made, [change], by_git=True)
    assert decision.refusal == ("" if allowed else NO_PROTECTED_PUSH)
    assert decision.fast_forward == ((change.ref,) if allowed else ())


def test_any_matching_rule_is_enough(session: Session, user: User) -> None:
    made = project(session, group(session, "g"))
    join(session, user, made, 30)
    protect(session, made, RefKind.BRANCH, "*", Action.PUSH, 40)
    protect(session, made, RefKind.BRANCH, "release.x", Action.PUSH, 30)
    allowed = RefChange(ref="refs/heads/release.x", before=SHA, after=OTHER)
    refused = RefChange(ref="refs/heads/release-x", before=SHA, after=OTHER)
    assert decide(session, Identity(user=user), made, [allowed], by_git=True).refusal == ""
    assert decide(session, Identity(user=user), made, [refused], by_git=True).refusal == NO_PROTECTED_PUSH


def test_the_first_push_to_the_default_branch_is_guarded_too(session: Session, user: User) -> None:
    made = project(session, group(session, "g"))
    join(session, user, made, 30)
    change = RefChange(ref="refs/heads/main", before=NO_OBJECT, after=SHA)
    assert decide(session, Identity(user=user), made, [change], by_git=True).refusal == NO_PROTECTED_PUSH


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        pytest.param(RefChange(ref="refs/heads/x", before=NO_OBJECT, after=SHA), "", id="branch"),
        pytest.param(RefChange(ref="refs/tags/x", before=SHA, after=OTHER), NO_TAG_CHANGE, id="moved-tag"),
        pytest.param(RefChange(ref="refs/merge-requests/1/head", before=NO_OBJECT, after=SHA), NO_OTHER_REF, id="ref"),
    ],
)
def test_what_a_developer_may_push(session: Session, user: User, change: RefChange, refusal: str) -> None:
    made = project(session, group(session, "g"))
    join(session, user, made, 30)
    assert decide(session, Identity(user=user), made, [change], by_git=True).refusal == refusal
    assert decide(session, ANONYMOUS, made, [change], by_git=True).refusal == NO_PUSH
    made.archived = True
    assert "archived" in decide(session, Identity(user=user), made, [change], by_git=True).refusal
