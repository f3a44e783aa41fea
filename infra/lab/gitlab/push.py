"""Pushes: what may be pushed, and what follows a push. Git over HTTP and the API's own commits go through here.

Git moves refs and the database follows, so a crash between the two leaves a ref that the database has not seen:
`reconcile` finds it at the next start. What follows (pipelines) is told to the subscribers at least once.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.access import Identity, Role, project_role
from infra.lab.gitlab.git import NO_OBJECT
from infra.lab.gitlab.instance import Instance, Push
from infra.lab.gitlab.store.base import now
from infra.lab.gitlab.store.project import Project
from infra.lab.gitlab.store.protection import (
    Action,
    Protection,
    ProtectionAccess,
    RefKind,
    protections_of,
)
from infra.lab.gitlab.store.push import KnownRef, PendingPush
from infra.lab.gitlab.store.setting import settings_of

BRANCH = "refs/heads/"
TAG = "refs/tags/"
ATTEMPTS = 3
"""How often a start tells a push whose subscribers fail."""

NO_PUSH = "You are not allowed to push code to this project."
NO_PROTECTED_PUSH = "You are not allowed to push code to protected branches on this project."
NO_FORCE_PUSH = "You are not allowed to force push code to a protected branch on this project."
NO_PROTECTED_DELETE = "You are not allowed to delete protected branches from this project. " + (
    "Only a project maintainer or owner can delete a protected branch."
)
NO_PROTECTED_DELETE_BY_GIT = "You can only delete protected branches using the web interface."
NO_DEFAULT_DELETE = "The default branch of a project cannot be deleted."
NO_PROTECTED_TAG = "You are not allowed to create this tag as it is protected."
NO_TAG_UPDATE = "Protected tags cannot be updated."
NO_TAG_DELETE = "You are not allowed to delete protected tags from this project."
NO_TAG_CHANGE = "You are not allowed to change existing tags on this project."
NO_OTHER_REF = "You can only push branches and tags."
ARCHIVED = "The repository is read-only: the project is archived."

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RefChange:
    """A ref that is to move, or has moved."""

    ref: str
    before: str
    after: str

    @property
    def deletes(self) -> bool:
        """The ref goes away."""
        return self.after == NO_OBJECT

    @property
    def creates(self) -> bool:
        """The ref is new."""
        return self.before == NO_OBJECT


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether a push may be. `refusal` is the reason why not; the refs in `fast_forward` must not lose commits."""

    refusal: str = ""
    fast_forward: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pusher:
    """Who pushed what, when the server was killed before it could note the push."""

    project_id: int
    user_id: int | None
    options: tuple[str, ...]
    moves: frozenset[tuple[str, str]]
    """Ref and commit."""

    @classmethod
    def read(cls, text: str, commands: bytes) -> Pusher:
        """From JSON of project, user and options, and from git's list of refs. Raises ValueError for half of it."""
        project_id, user_id, options = json.loads(text)
        lines = (line.split(" ", 2) for line in commands.decode("utf-8", "surrogateescape").splitlines())
        moves = frozenset((ref, after) for _, after, ref in lines)
        return cls(project_id=project_id, user_id=user_id, options=tuple(options), moves=moves)


def decide(
    session: Session, identity: Identity, project: Project, changes: Sequence[RefChange], *, by_git: bool
) -> Decision:
    """Whether whoever asks may make these changes of refs. `by_git`: git's own rules for deleting, not the API's."""
    role = project_role(session, identity, project)
    if project.archived:
        return Decision(refusal=ARCHIVED)
    if role < Role.DEVELOPER or identity.user is None:
        return Decision(refusal=NO_PUSH)
    guarded: list[str] = []
    for change in changes:
        if change.ref.startswith(BRANCH):
            refusal, forced = _decide_branch(session, identity, project, role, change, by_git=by_git)
            if not forced:
                guarded.append(change.ref)
        elif change.ref.startswith(TAG):
            refusal = _decide_tag(session, identity, project, role, change)
        else:
            refusal = NO_OTHER_REF
        if refusal:
            return Decision(refusal=refusal)
    return Decision(fast_forward=tuple(guarded))


def _decide_branch(
    session: Session, identity: Identity, project: Project, role: Role, change: RefChange, *, by_git: bool
) -> tuple[str, bool]:
    """A refusal (or nothing), and whether the branch may lose commits."""
    name = change.ref.removeprefix(BRANCH)
    rules = branch_rules(session, project, name)
    if change.deletes:
        if name == project.default_branch:
            return NO_DEFAULT_DELETE, True
        if rules and by_git:
            return NO_PROTECTED_DELETE_BY_GIT, True
        return (NO_PROTECTED_DELETE if rules and role < Role.MAINTAINER else ""), True
    if not rules:
        return "", True
    if not allows(rules, Action.PUSH, identity, role):
        return NO_PROTECTED_PUSH, True
    return "", change.creates or any(rule.allow_force_push for rule in rules)


def _decide_tag(session: Session, identity: Identity, project: Project, role: Role, change: RefChange) -> str:
    rules = protections_of(session, project.id, RefKind.TAG, change.ref.removeprefix(TAG))
    if change.creates:
        return NO_PROTECTED_TAG if rules and not allows(rules, Action.CREATE, identity, role) else ""
    if rules and change.deletes:
        return NO_TAG_DELETE if role < Role.MAINTAINER else ""
    if rules:
        return NO_TAG_UPDATE
    return NO_TAG_CHANGE if role < Role.MAINTAINER and not change.deletes else ""


def branch_rules(session: Session, project: Project, name: str) -> list[Protection]:
    """The rules for a branch. The default branch is guarded before it exists as it will be once it does."""
    rules = protections_of(session, project.id, RefKind.BRANCH, name)
    if rules or name != project.default_branch:
        return rules
    if session.get(KnownRef, (project.id, BRANCH + name)) is not None:
        return []
    initial = default_protection(session, project)
    return [initial] if initial else []


def allows(rules: Sequence[Protection], action: Action, identity: Identity, role: Role) -> bool:
    """Whether any of the rules lets whoever asks do it: no one (0) means no one, not even an administrator."""
    return any(_fits(entry, identity, role) for rule in rules for entry in rule.entries(action))


def _fits(entry: ProtectionAccess, identity: Identity, role: Role) -> bool:
    if entry.user_id is not None:
        return entry.user_id == identity.user_id
    level = entry.access_level or 0
    if level == Role.ADMIN:
        return identity.admin
    return level > Role.NONE and role >= level


def default_protection(session: Session, project: Project) -> Protection | None:
    """The rule that a default branch gets when it first appears; from the group's, else the instance's settings."""
    chosen = None
    for namespace in project.namespace.lineage():
        chosen = chosen or namespace.settings.get("default_branch_protection_defaults")
    wanted = chosen or settings_of(session)["default_branch_protection_defaults"]
    if not wanted:
        return None
    rule = Protection(
        project_id=project.id,
        kind=RefKind.BRANCH,
        name=project.default_branch,
        allow_force_push=bool(wanted.get("allow_force_push", False)),
    )
    for action, key in ((Action.PUSH, "allowed_to_push"), (Action.MERGE, "allowed_to_merge")):
        for entry in wanted.get(key) or [{"access_level": Role.MAINTAINER}]:
            rule.access.append(ProtectionAccess(action=action, access_level=int(entry["access_level"])))
    return rule


def settle(
    instance: Instance,
    project_id: int,
    changes: Sequence[RefChange],
    *,
    user_id: int | None,
    options: Sequence[str] = (),
) -> None:
    """Note refs that have moved, and tell the subscribers. Returns when they have been told."""
    if not changes:
        return
    for push in _noted(instance, project_id, changes, user_id, options):
        deliver(instance, push)


def _noted(
    instance: Instance, project_id: int, changes: Sequence[RefChange], user_id: int | None, options: Sequence[str]
) -> list[Push]:
    """Write down where the refs are now and what is to be told. What git has, not what this push wrote: another push
    may have gone on from there already."""
    with instance.noting(project_id):
        repository = instance.repository(project_id)
        refs = repository.refs() if repository.path.exists() else {}
        with instance.store.write() as session:
            project = session.get(Project, project_id)
            if project is None:
                return []
            _note_refs(instance, session, project, refs, {change.ref for change in changes})
            pending = [
                PendingPush(
                    project_id=project_id,
                    ref=change.ref,
                    before=change.before,
                    after=change.after,
                    user_id=user_id,
                    options=list(options),
                )
                for change in changes
            ]
            session.add_all(pending)
            project.last_activity_at = now()
            session.flush()
            return [_push_of(each) for each in pending]


def _note_refs(instance: Instance, session: Session, project: Project, refs: dict[str, str], names: set[str]) -> None:
    for name in names:
        known = session.get(KnownRef, (project.id, name))
        if name not in refs:
            if known is not None:
                session.delete(known)
        elif known is None:
            session.add(KnownRef(project_id=project.id, ref=name, sha=refs[name]))
        else:
            known.sha = refs[name]
    _settle_default_branch(instance, session, project, refs, names)


def _settle_default_branch(
    instance: Instance, session: Session, project: Project, refs: dict[str, str], names: set[str]
) -> None:
    """The first branch pushed becomes the default branch where that one isn't there; a new default is protected."""
    pushed = sorted(name for name in names if name.startswith(BRANCH) and name in refs)
    if pushed and BRANCH + project.default_branch not in refs:
        project.default_branch = pushed[0].removeprefix(BRANCH)
        instance.repository(project.id).set_head(project.default_branch)
    default = BRANCH + project.default_branch
    first = default in names and sum(ref.startswith(BRANCH) for ref in refs) == len(pushed)
    if first and not project.settings.get("_protected_once"):
        project.settings = {**project.settings, "_protected_once": True}
        rule = default_protection(session, project)
        if rule and not protections_of(session, project.id, RefKind.BRANCH, project.default_branch):
            session.add(rule)


def _push_of(pending: PendingPush) -> Push:
    return Push(
        id=pending.id,
        project_id=pending.project_id,
        ref=pending.ref,
        before=pending.before,
        after=pending.after,
        user_id=pending.user_id,
        options=tuple(pending.options),
    )


def deliver(instance: Instance, push: Push) -> None:
    """Tell the subscribers of a push, then forget it. A subscriber that fails is told again at the next start."""
    try:
        for subscriber in instance.hooks.on_push:
            subscriber(instance, push)
    except Exception:  # noqa: BLE001 - the push is done; its pusher must not be told that it failed
        _LOG.exception("push %s of project %s: a subscriber failed", push.id, push.project_id)
        with instance.store.write() as session:
            pending = session.get(PendingPush, push.id)
            if pending is not None:
                pending.attempts += 1
        return
    with instance.store.write() as session:
        done = session.get(PendingPush, push.id)
        if done is not None:
            session.delete(done)


def reconcile(instance: Instance, pushers: Sequence[Pusher] = ()) -> None:
    """Find refs that moved without the database seeing it, tell what is still to be told, sweep what is left over.

    A move that one of the `pushers` had announced is told as theirs: who pushes again hears that all is there already,
    so this is when the pipeline is made. Only while no request is served: a project that is being made has its row
    first.
    """
    with instance.store.read() as session:
        branches = {project.id: project.default_branch for project in session.scalars(select(Project))}
        known: dict[int, dict[str, str]] = {project_id: {} for project_id in branches}
        for ref in session.scalars(select(KnownRef)):
            known[ref.project_id][ref.ref] = ref.sha
        waiting = session.scalars(
            select(PendingPush).where(PendingPush.attempts < ATTEMPTS).order_by(PendingPush.id)
        ).all()
        pending = [_push_of(each) for each in waiting]
    for folder in instance.repositories.iterdir():
        # A project's rows go first when it is deleted, and come first when it is made: what has no row is left over.
        if not (folder.suffix == ".git" and folder.stem.isdecimal() and int(folder.stem) in known):
            shutil.rmtree(folder, ignore_errors=True)
    for push in pending:
        deliver(instance, push)
    for project_id, seen in known.items():
        repository = instance.repository(project_id)
        repository.create(branches[project_id])
        actual = repository.refs()
        changes = [
            RefChange(ref=ref, before=seen.get(ref, NO_OBJECT), after=actual.get(ref, NO_OBJECT))
            for ref in sorted({*seen, *actual})
            if seen.get(ref) != actual.get(ref)
        ]
        for change in changes:
            by = next(
                (p for p in pushers if p.project_id == project_id and (change.ref, change.after) in p.moves), None
            )
            options = by.options if by else ()
            settle(instance, project_id, [change], user_id=by.user_id if by else None, options=options)
