"""Makes or updates the administrator: the account with which Forgeline enters."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.lab.gitlab.store.namespace import Namespace, NamespaceKind
from infra.lab.gitlab.store.token import AccessToken, TokenKind, digest_of
from infra.lab.gitlab.store.user import User, UserState, hash_password, password_matches

TOKEN_NAME = "forgeline"  # noqa: S105 - a name, not a value
TOKEN_SCOPES = ["api", "read_user", "sudo", "admin_mode", "read_repository", "write_repository", "create_runner"]


class Administrator(BaseModel):
    """What `bootstrap` reads from standard input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    username: str = Field(pattern=r"^[a-zA-Z0-9_][a-zA-Z0-9_.-]{1,254}$")
    password: SecretStr = Field(min_length=8)
    token: SecretStr = Field(min_length=20, max_length=255)


def bootstrap(session: Session, administrator: Administrator) -> bool:
    """Give the user this password, this token and administrator's rights. Returns whether anything changed."""
    changed = False
    user = session.scalars(select(User).where(User.username == administrator.username)).first()
    if user is None:
        user = create_user(
            session,
            username=administrator.username,
            name="Administrator",
            email=f"{administrator.username}@gitlab.invalid",
        )
        changed = True
    password = administrator.password.get_secret_value()
    if not password_matches(password, user.password_hash):
        user.password_hash = hash_password(password)
        changed = True
    if not user.admin or user.state != UserState.ACTIVE:
        user.admin, user.state = True, UserState.ACTIVE
        changed = True
    return _give_token(session, user, administrator.token.get_secret_value()) or changed


def create_user(session: Session, *, username: str, name: str, email: str, bot: bool = False) -> User:
    """A new user with their personal namespace; a bot has none."""
    user = User(username=username, name=name, email=email, bot=bot)
    session.add(user)
    session.flush()
    if not bot:
        session.add(Namespace(kind=NamespaceKind.USER, name=name, path=username, full_path=username, owner_id=user.id))
        session.flush()
    return user


def _give_token(session: Session, user: User, token: str) -> bool:
    """Make `token` the one that `bootstrap` gave, revoking an older one."""
    digest = digest_of(token)
    kept = False
    for old in session.scalars(select(AccessToken).where(AccessToken.user_id == user.id)):
        if old.digest == digest and old.active:
            kept = True
        elif old.name == TOKEN_NAME and old.digest != digest and not old.revoked:
            old.revoked = True
    if kept:
        return False
    session.query(AccessToken).filter(AccessToken.digest == digest).delete()
    session.add(
        AccessToken(kind=TokenKind.PERSONAL, user_id=user.id, name=TOKEN_NAME, digest=digest, scopes=TOKEN_SCOPES)
    )
    return True
