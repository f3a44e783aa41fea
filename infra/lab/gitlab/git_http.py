"""Git over smart HTTP: git's own `http-backend`, with who may read and push decided here.

A push's list of refs is read from the request before git gets it, decided in the database, and handed to git's
pre-receive hook, which is the server's own: it refuses when git sees another list than the one decided on, and checks
in git's quarantine that guarded refs lose no commits. The post-receive hook writes down which refs did move.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote

import anyio
from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from infra.lab.gitlab.access import (
    ANONYMOUS,
    Identity,
    deploy_token_covers,
    reads_code,
    sees_project,
)
from infra.lab.gitlab.api.authentication import by_access_token, by_job_token, note_use
from infra.lab.gitlab.api.error import ApiError
from infra.lab.gitlab.door import Door
from infra.lab.gitlab.git_announcement import Announced, MalformedError, after, announcement, plain_body
from infra.lab.gitlab.git_backend import Backend
from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.push import Decision, Pusher, RefChange, decide, settle
from infra.lab.gitlab.store.project import Project, find_project
from infra.lab.gitlab.store.setting import settings_of
from infra.lab.gitlab.store.token import DeployToken, digest_of
from infra.lab.gitlab.store.user import User, UserState, password_matches

_PATH = re.compile(r"/(?P<project>.+?)(?:\.git)?/(?P<service>info/refs|git-upload-pack|git-receive-pack)")
_SERVICES = ("git-upload-pack", "git-receive-pack")
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="GitLab"'}

_PRE_RECEIVE = r"""#!/bin/sh
# Written by the embedded GitLab; carries out the decision that it made about this push.
refuse() { echo "GitLab: $1" >&2; exit 1; }
[ -n "$FORGELINE_PUSH" ] || refuse "no decision was made about this push."
seen=$(cat; echo .)
[ "$seen" = "$(cat "$FORGELINE_PUSH/commands"; echo .)" ] || refuse "this is not the push that was announced."
[ ! -s "$FORGELINE_PUSH/refusal" ] || refuse "$(cat "$FORGELINE_PUSH/refusal")"
while read -r before after ref; do
  git merge-base --is-ancestor "$before" "$after" ||
    refuse "You are not allowed to force push code to a protected branch on this project."
done < "$FORGELINE_PUSH/guarded"
"""

_POST_RECEIVE = r"""#!/bin/sh
# Written by the embedded GitLab; tells it which refs have moved.
cat > "$FORGELINE_PUSH/moved"
"""


def install_hooks(instance: Instance) -> Path:
    """Write the server's hooks; their folder. They are the only ones that ever run."""
    folder = instance.settings.data / "hooks"
    folder.mkdir(exist_ok=True)
    for name, text in (("pre-receive", _PRE_RECEIVE), ("post-receive", _POST_RECEIVE)):
        draft = folder / f".{name}.new"
        draft.write_text(text)
        draft.chmod(0o700)
        draft.replace(folder / name)
    return folder


def broken_off(instance: Instance) -> list[Pusher]:
    """Whose pushes a killed server had in hand, forgetting them: git may have taken them, and nobody was told."""
    folder = instance.settings.data / "pushes"
    found = []
    for kept in sorted(folder.glob("*/pusher")):
        with contextlib.suppress(ValueError, FileNotFoundError):  # it was killed while it wrote this
            found.append(Pusher.read(kept.read_text(), (kept.parent / "commands").read_bytes()))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return found


class GitServer:
    """Answers requests whose path ends in one of git's services."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def handles(self, path: str) -> bool:
        """Whether a path is git's."""
        return _PATH.fullmatch(path) is not None

    async def respond(self, request: Request) -> Response:
        """The answer to one of git's requests."""
        match = _PATH.fullmatch(unquote(request.scope["raw_path"].decode("latin-1").partition("?")[0]))
        service = match["service"] if match else ""
        asked = request.query_params.get("service", "") if service == "info/refs" else service
        if match is None or asked not in _SERVICES:
            return PlainTextResponse("Git over dumb HTTP is not supported", 403)
        if request.method != ("GET" if service == "info/refs" else "POST"):
            return PlainTextResponse("Method not allowed", 405)
        try:
            entered = await anyio.to_thread.run_sync(
                self._enter, match["project"], request.headers.get("authorization", ""), asked == "git-receive-pack"
            )
        except ApiError as error:
            return PlainTextResponse(str(error.body.get("message") or error.body), 401, _CHALLENGE)
        if isinstance(entered, Response):
            return entered
        project_id, identity = entered
        if service == "git-receive-pack":
            return await self._receive(request, project_id, identity)
        backend = Backend(self._instance, request, project_id, service, identity)
        return await backend.stream(plain_body(request))

    def _enter(self, path: str, authorization: str, pushes: bool) -> tuple[int, Identity] | Response:
        """The project and who asks. Git shows no credentials until it is asked for them, so nobody gets a 401 first."""
        with self._instance.store.read() as session:
            identity = self._identify(session, authorization)
            if identity is None:
                return PlainTextResponse("HTTP Basic: Access denied", 401, _CHALLENGE)
            project = find_project(session, path) if "/" in path else None
            reads = (
                project is not None
                and sees_project(session, identity, project)
                and reads_code(session, identity, project)
                and self._token_opens(session, identity, project)
            )
            if identity.anonymous and (pushes or not reads):
                return PlainTextResponse("HTTP Basic: Access denied", 401, _CHALLENGE)
            if project is None or not sees_project(session, identity, project):
                return PlainTextResponse("The project you were looking for could not be found.", 404)
            if not reads:
                return PlainTextResponse("You are not allowed to download code from this project.", 403)
            if pushes and not self._may_push(identity, project):
                return PlainTextResponse("You are not allowed to push code to this project.", 403)
            found = project.id
        note_use(self._instance.store, identity)
        return found, identity

    def _identify(self, session: Session, authorization: str) -> Identity | None:
        """Who the Basic credentials are of; None when they are wrong."""
        scheme, _, encoded = authorization.partition(" ")
        if not encoded:
            return ANONYMOUS
        if scheme.lower() == "bearer":
            return by_access_token(session, encoded.strip())
        try:
            name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if name == "gitlab-ci-token":
            return by_job_token(session, secret, self._instance.hooks)
        return (
            by_access_token(session, secret)
            or _by_deploy_token(session, name, secret)
            or _by_password(session, self._instance.door, name, secret)
        )

    def _token_opens(self, session: Session, identity: Identity, project: Project) -> bool:
        if identity.job is not None:
            return all(hook(session, identity, project.id) for hook in self._instance.hooks.job_token_access)
        if identity.deploy_token is not None:
            return identity.has_scope("read_repository") and deploy_token_covers(identity.deploy_token, project)
        return identity.has_scope("api", "read_repository", "write_repository")

    def _may_push(self, identity: Identity, project: Project) -> bool:
        if identity.job is not None:
            own = identity.job_project_id == project.id
            return own and bool(project.setting("ci_push_repository_for_job_token_allowed"))
        return identity.deploy_token is None and identity.has_scope("api", "write_repository")

    async def _receive(self, request: Request, project_id: int, identity: Identity) -> Response:
        """Let git take a push. Ends when the refs are noted and the subscribers told, also if the client has gone."""
        body = plain_body(request)
        try:
            announced = await announcement(body)
        except (MalformedError, ClientDisconnect) as error:
            return PlainTextResponse(str(error) or "the push broke off", 400)
        folder = Path(tempfile.mkdtemp(dir=self._instance.settings.data / "pushes"))
        try:
            await anyio.to_thread.run_sync(self._write_decision, folder, project_id, identity, announced)
            backend = Backend(self._instance, request, project_id, "git-receive-pack", identity, push=folder)
            return await backend.answer(after(announced.read, body))
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._finish, folder, project_id, identity, announced.options)

    def _write_decision(self, folder: Path, project_id: int, identity: Identity, announced: Announced) -> None:
        with self._instance.store.read() as session:
            project = session.get(Project, project_id)
            if project is None:
                decision = Decision(refusal="The project is gone.")
            else:
                decision = decide(session, identity, project, announced.changes, by_git=True)
        changes = {change.ref: change for change in announced.changes}
        lines = [f"{change.before} {change.after} {change.ref}\n" for change in announced.changes]
        guarded = [f"{changes[ref].before} {changes[ref].after} {ref}\n" for ref in decision.fast_forward]
        (folder / "commands").write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
        (folder / "refusal").write_text(decision.refusal)
        (folder / "pusher").write_text(json.dumps([project_id, identity.user_id, announced.options]))
        (folder / "guarded").write_text("".join(guarded), encoding="utf-8", errors="surrogateescape")

    def _finish(self, folder: Path, project_id: int, identity: Identity, options: tuple[str, ...]) -> None:
        moved = folder / "moved"
        changes = []
        if moved.exists():
            for line in moved.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
                before, after, ref = line.split(" ", 2)
                changes.append(RefChange(ref=ref, before=before, after=after))
        settle(self._instance, project_id, changes, user_id=identity.user_id, options=options)
        # Only now: a server that is killed before finds in it whose push it was.
        shutil.rmtree(folder, ignore_errors=True)


def _by_deploy_token(session: Session, name: str, secret: str) -> Identity | None:
    token = session.scalars(select(DeployToken).where(DeployToken.digest == digest_of(secret))).first()
    if token is None or token.username != name or not token.active:
        return None
    return Identity(deploy_token=token, scopes=frozenset(token.scopes))


def _by_password(session: Session, door: Door, name: str, secret: str) -> Identity | None:
    if not settings_of(session)["password_authentication_enabled_for_git"] or door.closed(name):
        return None
    user = session.scalars(select(User).where(or_(User.username == name, User.email == name))).first()
    if not password_matches(secret, user.password_hash if user else None):
        door.wrong(name)
        return None
    return Identity(user=user) if user is not None and user.state == UserState.ACTIVE else None
