"""Whether a server is of use, found out by using it. Every probe returns what is still waited for, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx

from infra.clients import trust
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.clients.request import Observer
from infra.core.error import ServerError
from infra.core.secret import SecretValue, parse_secret
from infra.core.server import Probe, Readiness

TIMEOUT = 5.0
"""Seconds that one question may take: a server that hangs is asked again."""


ADMINISTRATOR = "admin"


class ServerFiles(Protocol):
    """Files as the server itself sees them."""

    def read(self, path: str) -> str | None:
        """A file's text, or None if there is none."""

    def remove(self, path: str) -> None:
        """Removes a file; one that is not there is fine."""


class LocalFiles:
    """Those of a process: this machine's."""

    def read(self, path: str) -> str | None:
        """A file's text, or None if there is none."""
        return Path(path).read_text(encoding="utf-8") if Path(path).is_file() else None

    def remove(self, path: str) -> None:
        """Removes a file; one that is not there is fine."""
        Path(path).unlink(missing_ok=True)


_LOCAL = LocalFiles()

CLOSED = {"enabled": False, "userId": "anonymous", "realmName": "NexusAuthorizingRealm"}
"""Anonymous access as a new Nexus gets it."""


class Prober:
    """Asks servers whether they are ready. `openbao` also gives the secrets that the questions need."""

    def __init__(self, openbao: OpenBao, *, trusted: Path | None = None, observe: Observer | None = None) -> None:
        self._openbao = openbao
        self._trusted = trusted
        self._observe = observe
        # One for all questions: loading the trusted certificates takes 20 ms of a processor each time.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(timeout=TIMEOUT, trust_env=False, limits=limits, verify=trust.context(trusted))
        self._nexus: dict[str, NexusClient] = {}
        self._probes: dict[Probe, Callable[[Readiness, ServerFiles], str]] = {
            Probe.OPENBAO: self._ask_openbao,
            Probe.NEXUS: self._ask_nexus,
            Probe.GITLAB: self._ask_gitlab,
            Probe.RUNNER: self._ask_runner,
            Probe.HTTP: self._ask_http,
        }

    def ask(self, readiness: Readiness, files: ServerFiles = _LOCAL) -> str:
        """What is still waited for; nothing when the server is ready. Raises ServerError where waiting is no use."""
        return self._probes[readiness.probe](readiness, files)

    def _ask_openbao(self, _readiness: Readiness, _files: ServerFiles) -> str:
        return self._openbao.waiting()

    def _ask_nexus(self, readiness: Readiness, files: ServerFiles) -> str:
        client = self._nexus_at(readiness.url)
        if not client.writable():
            return "waiting for an answer"
        wanted = self._secret(readiness, "password")
        if not client.accepts(ADMINISTRATOR, wanted):
            return _replace_first_password(client, readiness, files, wanted)
        # The file is of no use any more, and Nexus writes it again at restarts.
        files.remove(readiness.first_password_file)
        return ""

    def _ask_gitlab(self, readiness: Readiness, _files: ServerFiles) -> str:
        try:
            if self._http.get(f"{readiness.url}/-/readiness").status_code != 200:
                return "waiting to be ready"
            answer = self._gitlab(readiness, "/version")
        except httpx.TransportError:
            return "waiting for an answer"
        if answer.status_code == 401:
            raise ServerError(
                "GitLab does not know the administrator's token", where=readiness.url, fix="run `forgeline up` again"
            )
        return "" if answer.status_code == 200 else f"GitLab answers {answer.status_code}"

    def _ask_runner(self, readiness: Readiness, _files: ServerFiles) -> str:
        try:
            answer = self._gitlab(readiness, "/runners/all?status=online&per_page=100")
        except httpx.TransportError:
            return "waiting for GitLab"
        if answer.status_code != 200:
            return f"GitLab answers {answer.status_code}"
        online = any(runner["description"] == readiness.subject for runner in answer.json())
        return "" if online else "waiting to be seen by GitLab"

    def _ask_http(self, readiness: Readiness, _files: ServerFiles) -> str:
        try:
            status = self._http.get(readiness.url).status_code
        except httpx.TransportError:
            return "waiting for an answer"
        return "" if status == 200 else f"{readiness.url} answers {status}"

    def _gitlab(self, readiness: Readiness, path: str) -> httpx.Response:
        token = self._secret(readiness, "token").reveal()
        return self._http.get(f"{readiness.url}/api/v4{path}", headers={"PRIVATE-TOKEN": token})

    def _nexus_at(self, url: str) -> NexusClient:
        """A client that stays: making one for each question would cost more than asking does."""
        if url not in self._nexus:
            self._nexus[url] = NexusClient(
                url,
                username=ADMINISTRATOR,
                password=_no_password,
                observe=self._observe,
                keep_connections=False,
                trusted=self._trusted,
            )
        return self._nexus[url]

    def _secret(self, readiness: Readiness, name: str) -> SecretValue:
        return self._openbao.resolve(parse_secret(readiness.secrets[name]))


def _replace_first_password(client: NexusClient, readiness: Readiness, files: ServerFiles, wanted: SecretValue) -> str:
    """Change the random password of the first start. The file may stand there and be void: then it is refused."""
    text = files.read(readiness.first_password_file)
    if text is None:
        return "waiting for the administrator's first password"
    first = SecretValue(text.strip())
    if not client.accepts(ADMINISTRATOR, first):
        raise ServerError(
            "Nexus accepts neither the administrator's password in OpenBao nor that of its first start",
            where=readiness.url,
            fix="set the password that OpenBao has (`forgeline credentials`), or `forgeline destroy`",
        )
    # Nexus lets strangers in until it is told otherwise: that ends before anything is stored.
    client.put_anonymous(CLOSED, present=first)
    client.change_password(ADMINISTRATOR, wanted, present=first)
    return "the administrator's password was set"


def _no_password() -> SecretValue:
    raise ServerError("asking whether Nexus is ready needs no password of its own", where="nexus")
