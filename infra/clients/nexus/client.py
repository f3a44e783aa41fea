"""The client of Sonatype Nexus Repository: its REST API, noun by noun.

Objects of the API travel as it spells them (JSON). `put_*` creates what is not there and updates what is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

from infra.clients import trust
from infra.clients.nexus.transport import JSON, Basic, Transport, segment
from infra.clients.openbao import OpenBao
from infra.clients.request import Observer
from infra.core.error import ServerError
from infra.core.naming import NEXUS_ADMIN
from infra.core.progress import Progress
from infra.core.secret import Secret, SecretRef, SecretValue, parse_secret
from infra.core.settings import Settings

REST = "/service/rest/v1"
INTERNAL = "/service/rest/internal"

PATH_OF_FORMAT = {"maven2": "maven"}
"""The formats whose name differs from their segment in the REST paths."""


def configurer(settings: Settings) -> tuple[str, Secret]:
    """The user by whom Nexus is configured, and where the password is kept."""
    servers = settings.profile.servers
    if servers is None:
        return "admin", SecretRef(NEXUS_ADMIN, "password")
    return servers.nexus.username, parse_secret(servers.nexus.password)


class NexusClient:
    """One Nexus, spoken to as one user. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        username: str,
        password: Callable[[], SecretValue],
        observe: Observer | None = None,
        keep_connections: bool = True,
        trusted: Path | None = None,
    ) -> None:
        """`password` is asked for once, at the first request that needs it. `trusted` is as in `Transport`."""
        self.url = url
        self._username = username
        self._password = password
        self._transport = Transport(
            url,
            username=username,
            password=password,
            observe=observe,
            keep_connections=keep_connections,
            trusted=trusted,
        )

    @classmethod
    def of(cls, settings: Settings, openbao: OpenBao, *, observe: Observer | None = None) -> Self:
        """The client of this profile's Nexus, as the user by whom Forgeline configures it."""
        username, reference = configurer(settings)
        return cls(
            settings.nexus_url,
            username=username,
            password=lambda: openbao.resolve(reference),
            observe=observe,
            trusted=trust.bundle(settings),
        )

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # State

    def answers(self) -> bool:
        """Whether Nexus says that it serves requests. Needs no password."""
        return self._transport.succeeds_for_anybody(f"{REST}/status")

    def wait_ready(self, progress: Progress, *, timeout: float = 180.0) -> None:
        """Return when Nexus is writable and knows the administrator's password.

        Raises ServerError after `timeout` seconds. Before its first start has ended, the password is still refused.
        """
        deadline = time.monotonic() + timeout
        while True:
            doing = "waiting for an answer"
            if self.writable():
                doing = "waiting for the administrator's password to be set"
                if self.accepts(self._username, self._password()):
                    return
            if time.monotonic() > deadline:
                raise ServerError(f"is not ready after {timeout:.0f} s: {doing}", where=self.url, fix="see Nexus's log")
            progress.start("nexus", doing)
            time.sleep(0.2)

    def writable(self) -> bool:
        """Whether Nexus can write. Needs no password."""
        return self._transport.succeeds_for_anybody(f"{REST}/status/writable")

    def version(self) -> str:
        """The version that the server's header tells, such as "3.71.0-06"."""
        server = self._transport.request("GET", f"{REST}/status").headers.get("server", "")
        return str(server).removeprefix("Nexus/").partition(" ")[0]

    def accepts(self, username: str, password: SecretValue) -> bool:
        """Whether this user may sign in with this password. That they may not see what is asked for is no refusal."""
        answer = self._transport.send("GET", f"{REST}/status/check", auth=Basic(username, lambda: password))
        return answer.status_code != 401

    def formats(self) -> frozenset[str]:
        """The repository formats that this server has, such as `maven2` and `raw`: read from it, not assumed."""
        return frozenset(str(recipe["format"]) for recipe in self.recipes())

    def recipes(self) -> list[JSON]:
        """The sorts of repository: `{"format": "raw", "type": "hosted"}`, …"""
        answer: list[JSON] = self._transport.request("GET", f"{INTERNAL}/ui/repositories/recipes").json()
        return answer

    # Repositories

    def repositories(self) -> list[JSON]:
        """Every repository in short: name, format, type, url."""
        answer: list[JSON] = self._transport.request("GET", f"{REST}/repositories").json()
        return answer

    def repository(self, format_name: str, kind: str, name: str) -> JSON | None:
        """The whole definition of a repository, or None."""
        return self._transport.find(f"{_repositories(format_name, kind)}/{segment(name)}")

    def put_repository(self, format_name: str, kind: str, definition: JSON) -> None:
        """Create or update the repository `definition["name"]`."""
        self._transport.put(_repositories(format_name, kind), str(definition["name"]), definition)

    def delete_repository(self, name: str) -> None:
        """Delete a repository and what it stores."""
        self._transport.remove(f"{REST}/repositories/{segment(name)}")

    def blob_store(self, name: str, kind: str = "file") -> JSON | None:
        """A blob store's definition, or None."""
        return self._transport.find(f"{REST}/blobstores/{kind}/{segment(name)}")

    def put_blob_store(self, definition: JSON, kind: str = "file") -> None:
        """Create or update the blob store `definition["name"]`."""
        self._transport.put(f"{REST}/blobstores/{kind}", str(definition["name"]), definition)

    def delete_blob_store(self, name: str) -> None:
        """Delete a blob store that no repository uses."""
        self._transport.remove(f"{REST}/blobstores/{segment(name)}")

    # Access

    def user(self, user_id: str) -> JSON | None:
        """A user of Nexus's own source, or None."""
        found: list[JSON] = self._transport.request(
            "GET", f"{REST}/security/users", params={"userId": user_id, "source": "default"}
        ).json()
        return next((user for user in found if user["userId"] == user_id), None)

    def put_user(self, user: JSON, password: SecretValue | None = None) -> None:
        """Create or update a user. Creating needs the password; updating leaves it as it is."""
        if self.user(str(user["userId"])) is not None:
            body = {"source": "default", **user}
            self._transport.request("PUT", f"{REST}/security/users/{segment(str(user['userId']))}", json=body)
        elif password is None:
            raise ServerError("a new user needs a password", where=f"{self.url} user {user['userId']}")
        else:
            self._transport.request("POST", f"{REST}/security/users", json={**user, "password": password.reveal()})

    def delete_user(self, user_id: str) -> None:
        """Delete a user."""
        self._transport.remove(f"{REST}/security/users/{segment(user_id)}")

    def change_password(self, user_id: str, password: SecretValue, *, present: SecretValue | None = None) -> None:
        """Give a user a new password; `present` signs this one request in with another password than the client's."""
        self._transport.request(
            "PUT",
            f"{REST}/security/users/{segment(user_id)}/change-password",
            content=password.reveal().encode(),
            headers={"Content-Type": "text/plain"},
            auth=None if present is None else Basic(self._username, lambda: present),
        )

    def role(self, role_id: str) -> JSON | None:
        """A role, or None."""
        return self._transport.find(f"{REST}/security/roles/{segment(role_id)}")

    def put_role(self, role: JSON) -> None:
        """Create or update the role `role["id"]`."""
        self._transport.put(f"{REST}/security/roles", str(role["id"]), role)

    def delete_role(self, role_id: str) -> None:
        """Delete a role."""
        self._transport.remove(f"{REST}/security/roles/{segment(role_id)}")

    def privilege(self, name: str) -> JSON | None:
        """A privilege, or None."""
        return self._transport.find(f"{REST}/security/privileges/{segment(name)}")

    def put_privilege(self, kind: str, privilege: JSON) -> None:
        """Create or update a privilege. `kind` is the path's word: `repository-view`, `wildcard`, …"""
        self._transport.put(f"{REST}/security/privileges/{kind}", str(privilege["name"]), privilege)

    def delete_privilege(self, name: str) -> None:
        """Delete a privilege."""
        self._transport.remove(f"{REST}/security/privileges/{segment(name)}")

    def content_selector(self, name: str) -> JSON | None:
        """A content selector, or None."""
        return self._transport.find(f"{REST}/security/content-selectors/{segment(name)}")

    def put_content_selector(self, selector: JSON) -> None:
        """Create or update the content selector `selector["name"]`."""
        self._transport.put(f"{REST}/security/content-selectors", str(selector["name"]), selector)

    def delete_content_selector(self, name: str) -> None:
        """Delete a content selector."""
        self._transport.remove(f"{REST}/security/content-selectors/{segment(name)}")

    def realms(self) -> list[str]:
        """The active realms, in their order."""
        answer: list[str] = self._transport.request("GET", f"{REST}/security/realms/active").json()
        return answer

    def put_realms(self, realms: list[str]) -> None:
        """Make exactly these realms active. Without `NexusAuthorizingRealm` nobody may do anything."""
        self._transport.request("PUT", f"{REST}/security/realms/active", json=realms)

    def anonymous(self) -> JSON:
        """Anonymous access: `enabled`, `userId`, `realmName`."""
        answer: JSON = self._transport.request("GET", f"{REST}/security/anonymous").json()
        return answer

    def put_anonymous(self, definition: JSON, *, present: SecretValue | None = None) -> None:
        """Set anonymous access; `present` signs this one request in with another password than the client's."""
        auth = None if present is None else Basic(self._username, lambda: present)
        self._transport.request("PUT", f"{REST}/security/anonymous", json=definition, auth=auth)

    # Cleanup (the public API is not in the free edition)

    def cleanup_policy(self, name: str) -> JSON | None:
        """A cleanup policy, or None."""
        return self._transport.find(f"{INTERNAL}/cleanup-policies/{segment(name)}")

    def put_cleanup_policy(self, policy: JSON) -> None:
        """Create or update the cleanup policy `policy["name"]`; ages are in days."""
        self._transport.put(f"{INTERNAL}/cleanup-policies", str(policy["name"]), policy)

    def delete_cleanup_policy(self, name: str) -> None:
        """Delete a cleanup policy."""
        self._transport.remove(f"{INTERNAL}/cleanup-policies/{segment(name)}")

    # Artifacts

    def upload(self, repository: str, path: str, content: bytes) -> None:
        """Store `content` at `path` of a repository."""
        self._transport.request("PUT", _artifact(repository, path), content=content)

    def download(self, repository: str, path: str) -> bytes | None:
        """The content at `path` of a repository, or None."""
        answer = self._transport.request("GET", _artifact(repository, path), accept={404}, follow_redirects=True)
        return None if answer.status_code == 404 else answer.content

    def delete_artifact(self, repository: str, path: str) -> None:
        """Delete what is at `path` of a repository."""
        self._transport.remove(_artifact(repository, path))

    def components(self, repository: str) -> Iterator[JSON]:
        """The components of a repository, each with its assets."""
        token: str | None = None
        while True:
            query = {"repository": repository, **({"continuationToken": token} if token else {})}
            page: JSON = self._transport.request("GET", f"{REST}/components", params=query).json()
            yield from page["items"]
            token = page.get("continuationToken")
            if not token:
                return


def _repositories(format_name: str, kind: str) -> str:
    return f"{REST}/repositories/{PATH_OF_FORMAT.get(format_name, format_name)}/{kind}"


def _artifact(repository: str, path: str) -> str:
    return f"/repository/{segment(repository)}/{quote(path.lstrip('/'), safe='/')}"
