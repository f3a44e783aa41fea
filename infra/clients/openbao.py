"""The client of OpenBao: hvac, signed in as Forgeline's operator or as the profile says, with our errors and observer.

The token lives in memory only. The operator's is a batch token: OpenBao stores nothing for it, so signing in changes
nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import hvac
import requests
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultDown, VaultError, VaultNotInitialized
from requests.adapters import HTTPAdapter

from infra.clients import trust
from infra.clients.bootstrap import derive, random_secret, read_key
from infra.clients.given import read_given
from infra.clients.identity import Identity, identity_of, named
from infra.clients.request import Observer
from infra.core.error import ServerError
from infra.core.naming import KV_MOUNT
from infra.core.progress import Progress
from infra.core.secret import DerivedSecret, GivenSecret, Keeper, Secret, SecretValue
from infra.core.server import Credential
from infra.core.settings import Settings

JSON = dict[str, Any]

OPERATOR = "forgeline-operator"
OPERATOR_SECRET = DerivedSecret("openbao-operator")
"""The password of OpenBao's first user, which self-initialization makes."""

TIMEOUT = 30.0
TOKEN_SECONDS = 1800.0
"""A token is renewed by a new login after this long; OpenBao gives it for an hour."""

PATIENCE = 5.0
"""Seconds for which a refused login may be that of a first start that is still under way."""

Answer = TypeVar("Answer")


class OpenBao:
    """One OpenBao, spoken to as one user. Signs in at the first request. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        key: Callable[[], bytes],
        identity: Identity | None = None,
        namespace: str = "",
        trusted: Path | None = None,
        observe: Observer | None = None,
    ) -> None:
        """`key` gives the bootstrap key, from which the password of the operator is derived, unless it is another's.

        `trusted` is a file of the authorities that are trusted, if they are not the library's own.
        """
        self.url = url
        self._key = key
        self._identity = identity or _operator(key)
        self._lock = threading.Lock()
        self._signed_in = float("-inf")
        self._refused_since = 0.0
        session = requests.Session()
        session.trust_env = False
        session.verify = str(trusted) if trusted else True
        session.mount("http", HTTPAdapter(pool_connections=1, pool_maxsize=32))
        if observe is not None:
            session.hooks["response"].append(_hook(observe))
        self._client = hvac.Client(url=url, token="", session=session, timeout=TIMEOUT, namespace=namespace)
        # A server's health is no namespace's affair.
        self._anybody = hvac.Client(url=url, token="", session=session, timeout=TIMEOUT, namespace="")

    @classmethod
    def of(cls, settings: Settings, *, observe: Observer | None = None) -> Self:
        """The client of this profile's OpenBao."""
        servers = settings.profile.servers
        return cls(
            settings.openbao_url,
            key=lambda: read_key(settings.bootstrap_key),
            identity=None if servers is None else identity_of(servers.openbao),
            namespace="" if servers is None else servers.openbao.namespace,
            trusted=trust.bundle(settings),
            observe=observe,
        )

    @property
    def who(self) -> str:
        """As whom OpenBao is spoken to."""
        return self._identity.name

    def close(self) -> None:
        """Close the connections."""
        self._client.adapter.close()

    def health(self) -> JSON | None:
        """What OpenBao says of itself (`initialized`, `sealed`, `version`, …), or None where nobody answers."""
        try:
            answer = self._anybody.sys.read_health_status(method="GET", standby_ok=True)
            # A proxy answers for an OpenBao that does not, and not in JSON.
            return answer if isinstance(answer, dict) else dict(answer.json())
        except (VaultError, requests.RequestException):
            return None

    def sign_in(self) -> None:
        """Sign in now. Raises ServerError when OpenBao does not answer or refuses."""
        with self._lock:
            self._signed_in = float("-inf")
        self._token()

    def waiting(self) -> str:
        """What is still to come before OpenBao is of use; nothing when the operator is signed in.

        Raises RefusedError when the login stays refused: for a moment it is, while the first start makes the operator.
        """
        health = self.health()
        if health is None:
            return "waiting for an answer"
        if not health.get("initialized") or health.get("sealed"):
            return "waiting to be unsealed"
        try:
            self.sign_in()
        except RefusedError:
            now = time.monotonic()
            self._refused_since = self._refused_since or now
            if now - self._refused_since > PATIENCE:
                raise
            return "waiting for the operator to be made"
        self._refused_since = 0.0
        return ""

    def wait_ready(self, progress: Progress, *, timeout: float = 60.0) -> None:
        """Return when OpenBao is unsealed and the operator is signed in. Raises ServerError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while doing := self.waiting():
            if time.monotonic() > deadline:
                raise ServerError(
                    f"is not ready after {timeout:.0f} s: {doing}", where=self.url, fix="see OpenBao's log"
                )
            progress.start("openbao", doing)
            time.sleep(0.1)

    # Secrets (KV v2)

    def read_kv(self, path: str) -> dict[str, SecretValue] | None:
        """The fields of the entry at `path`, or None if there is none."""
        answer = self.read(f"{KV_MOUNT}/data/{path}")
        data = answer.get("data") if answer else None
        return None if data is None else {field: SecretValue(str(value)) for field, value in data.items()}

    def write_kv(
        self, path: str, fields: Mapping[str, SecretValue | str], *, expect_version: int | None = None
    ) -> None:
        """Write a new version of the entry; with `expect_version`, only on top of that one (0: there is none)."""
        data = {name: value.reveal() if isinstance(value, SecretValue) else value for name, value in fields.items()}
        options = {} if expect_version is None else {"options": {"cas": expect_version}}
        self.write(f"{KV_MOUNT}/data/{path}", {"data": data, **options})

    def delete_kv(self, path: str) -> None:
        """Remove the entry with all its versions."""
        self.delete(f"{KV_MOUNT}/metadata/{path}")

    def ensure_generated(self, credential: Credential) -> bool:
        """Generate what the entry lacks, and keep what it has. Returns whether something was written.

        Two runs at once end with the same values: a write counts only on top of the version that was read.
        """
        path = f"{KV_MOUNT}/data/{credential.path}"
        for _ in range(5):
            answer = self.read(path) or {}
            present: dict[str, str] = answer.get("data") or {}
            wanted = {field: prefix + random_secret() for field, prefix in credential.generated.items()}
            merged = {**wanted, **present, **credential.fixed}
            if merged == present:
                return False
            version = (answer.get("metadata") or self._deleted(credential.path)).get("version", 0)
            try:
                self.write_kv(credential.path, merged, expect_version=version)
            except ConflictError:
                continue
            return True
        raise ServerError("another run keeps changing this entry", where=f"{self.url} {path}", fix="run it again")

    def _deleted(self, path: str) -> JSON:
        """The version that a deleted entry stands at; nothing if there never was an entry."""
        metadata = self.read(f"{KV_MOUNT}/metadata/{path}")
        return {"version": metadata["current_version"]} if metadata else {}

    def resolve(self, reference: Secret) -> SecretValue:
        """The value of a reference. Raises ServerError or BadInputError where there is none."""
        if isinstance(reference, DerivedSecret):
            return derive(self._key(), reference.purpose, reference.form)
        if isinstance(reference, GivenSecret):
            return self._kept(reference) if reference.keeper is Keeper.VAULT else read_given(reference)
        fields = self.read_kv(reference.path)
        if fields is None or reference.field not in fields:
            raise ServerError("there is no such secret", where=str(reference), fix="`forgeline up` makes it")
        return fields[reference.field]

    def _kept(self, reference: GivenSecret) -> SecretValue:
        """What an entry of any KV engine has, of either version: the server says which it is."""
        # https://openbao.org/api-docs/system/internal-ui-mounts/: open to whoever may use the path.
        mount = self.read(f"sys/internal/ui/mounts/{reference.place}") or {}
        path = str(mount.get("path", ""))
        below = reference.place.removeprefix(path)
        two = (mount.get("options") or {}).get("version") == "2"
        answer = self.read(f"{path}data/{below}" if two else f"{path}{below}") or {}
        fields = (answer.get("data") or {}) if two else answer
        if reference.field not in fields:
            raise ServerError(
                "there is no such secret", where=str(reference), fix="look at where the profile says it is"
            )
        return SecretValue(str(fields[reference.field]))

    # Any path

    def read(self, path: str) -> JSON | None:
        """The `data` of a path, or None if there is nothing."""
        try:
            answer = self._call(lambda: self._client.read(path))
        except NotFoundError:
            return None
        if answer is None:
            return None
        # A deleted KV version answers 404 with a body that hvac hands out.
        data = answer.get("data") if isinstance(answer, dict) else None
        return data if isinstance(data, dict) else {}

    def keys(self, path: str) -> list[str]:
        """The keys under a path; none if there is no such path."""
        try:
            answer = self._call(lambda: self._client.list(path))
        except NotFoundError:
            return []
        return [] if answer is None else [str(key) for key in answer["data"]["keys"]]

    def write(self, path: str, data: JSON) -> JSON:
        """Write to a path; what OpenBao answers as `data`, or nothing."""
        answer = self._call(lambda: self._client.write_data(path, data=data))
        return (answer.get("data") or {}) if isinstance(answer, dict) else {}

    def delete(self, path: str) -> None:
        """Delete a path. Nothing happens if there is none."""
        try:
            self._call(lambda: self._client.delete(path))
        except NotFoundError:
            return

    # What is mounted

    def mounts(self) -> dict[str, JSON]:
        """Secrets engines by path, with a slash at the end, as `sys/mounts` tells them."""
        return self.read("sys/mounts") or {}

    def auth_methods(self) -> dict[str, JSON]:
        """Auth methods by path, with a slash at the end, as `sys/auth` tells them."""
        return self.read("sys/auth") or {}

    def granted(self, paths: Iterable[str]) -> dict[str, list[str]]:
        """What the identity may do on each path, as its policies call it: `create`, `read`, …, `root`, `deny`."""
        asked = list(paths)
        answer = self.write("sys/capabilities-self", {"paths": asked})
        return {path: list(answer.get(path) or []) for path in asked}

    def audit_devices(self) -> dict[str, JSON]:
        """Audit devices by path, with a slash at the end, as `sys/audit` tells them."""
        return self.read("sys/audit") or {}

    def register_plugin(self, name: str, *, kind: str = "secret", command: str, sha256: str) -> None:
        """Put a binary of the plugin folder into the catalogue. OpenBao runs it only while its sum is `sha256`."""
        self.write(f"sys/plugins/catalog/{kind}/{name}", {"command": command, "sha256": sha256})

    def plugin(self, name: str, *, kind: str = "secret") -> JSON | None:
        """The catalogue's entry of a plugin: `command`, `sha256`, …; None if it is not registered."""
        return self.read(f"sys/plugins/catalog/{kind}/{name}")

    # Inside

    def _call(self, request: Callable[[], Answer]) -> Answer:
        self._token()
        try:
            return request()
        except (VaultError, requests.RequestException) as error:
            raise self._explain(error) from None

    def _token(self) -> None:
        with self._lock:
            if time.monotonic() - self._signed_in < TOKEN_SECONDS:
                return
            try:
                self._identity.sign_in(self._client)
            except (VaultError, requests.RequestException) as error:
                raise self._explain(error, signing_in=True) from None
            self._signed_in = time.monotonic()

    def _explain(self, error: VaultError | requests.RequestException, *, signing_in: bool = False) -> ServerError:
        """The error a person can act on. The chain is cut on purpose: hvac's frames hold the request's body."""
        if isinstance(error, requests.RequestException):
            return ServerError(
                f"does not answer ({type(error).__name__})",
                where=self.url,
                fix="`forgeline up` starts it, unless the profile says where it is",
            )
        said = "; ".join(error.errors or []) or type(error).__name__
        place = f"{self.url} {_path(error)}"
        if isinstance(error, VaultDown | VaultNotInitialized):
            return ServerError(f"OpenBao is not ready: {said}", where=place, fix="wait, or see its log")
        if signing_in and isinstance(error, InvalidRequest | Forbidden | InvalidPath):
            return RefusedError(
                f"OpenBao refused the login of {self._identity.name}: {said}",
                where=place,
                fix=self._identity.fix,
            )
        if isinstance(error, InvalidPath):
            return NotFoundError(f"OpenBao has nothing here: {said}", where=place)
        if isinstance(error, InvalidRequest) and "check-and-set" in said:
            return ConflictError(f"OpenBao refused: {said}", where=place, fix="run it again")
        fix = f"the policies of {self._identity.name} do not allow it" if isinstance(error, Forbidden) else ""
        return ServerError(f"OpenBao refused: {said}", where=place, fix=fix)


def _operator(key: Callable[[], bytes]) -> Identity:
    """The user that Forgeline's own OpenBao begins with."""
    return named(
        OPERATOR,
        password=lambda: derive(key(), OPERATOR_SECRET.purpose),
        fix="it was initialized with another bootstrap.key: bring that key back, or `forgeline destroy`",
    )


class RefusedError(ServerError):
    """The login is refused."""


class NotFoundError(ServerError):
    """There is nothing at the path."""


class ConflictError(ServerError):
    """Somebody else wrote a newer version in between."""


def _path(error: VaultError) -> str:
    return str(error.url or "").partition("/v1/")[2].partition("?")[0]


def _hook(observe: Observer) -> Callable[..., None]:
    def seen(response: requests.Response, *_args: object, **_kwargs: object) -> None:
        request = response.request
        observe(request.method or "", request.path_url.partition("?")[0], response.status_code)

    return seen
