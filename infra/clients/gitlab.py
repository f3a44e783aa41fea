"""The client of GitLab: python-gitlab, with our errors, a request counter, and readiness by real use."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Self

import gitlab
import requests
from gitlab.exceptions import GitlabAuthenticationError, GitlabError, GitlabGetError, GitlabHttpError, GitlabListError
from gitlab.v4.objects import Group, Project, User
from requests.adapters import HTTPAdapter

from infra.clients import trust
from infra.clients.openbao import OpenBao
from infra.clients.request import Observer
from infra.core.error import ServerError
from infra.core.naming import GITLAB_ROOT, under
from infra.core.progress import Progress
from infra.core.secret import Secret, SecretRef, SecretValue, parse_secret
from infra.core.settings import Settings

TIMEOUT = 60.0
"""Seconds a single request may take."""

POOL = 32
"""Connections kept open: as many as the provider asks side by side."""


def explain(error: GitlabError, url: str) -> ServerError:
    """The error a person can act on: what GitLab said, where, and what to do."""
    code = error.response_code
    message = error.error_message
    text = message if isinstance(message, str) else str(message)
    if isinstance(error, GitlabAuthenticationError) or code == 401:
        fix = "GitLab does not know the token: `forgeline up` makes a new one, unless the profile says where it is kept"
    elif code == 403:
        fix = "the token's user needs the administrator or owner role for this"
    elif code == 501:
        fix = "this GitLab does not offer it: take it out of the configuration, or use a GitLab that does"
    elif code is not None and code >= 500:
        fix = "see GitLab's log"
    else:
        fix = ""
    return ServerError(f"GitLab refused: {text}" + (f" (HTTP {code})" if code else ""), where=url, fix=fix)


def token_reference(settings: Settings) -> Secret:
    """Where the token is kept with which Forgeline configures GitLab."""
    servers = settings.profile.servers
    return SecretRef(GITLAB_ROOT, "token") if servers is None else parse_secret(servers.gitlab.token)


class NoAnswerError(ServerError):
    """GitLab can't be reached, or does not answer in time."""


class _Session(requests.Session):
    """A session whose failures a person can act on."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """The answer. Raises NoAnswerError where there is none."""
        try:
            return super().send(request, **kwargs)
        except requests.RequestException as error:
            place = (request.url or "").partition("/api/")[0]
            raise NoAnswerError(
                f"GitLab does not answer ({type(error).__name__})",
                where=place,
                fix="`forgeline status` shows what answers; `forgeline up` starts what is Forgeline's own",
            ) from error


class GitLab:
    """One GitLab, spoken to as one user. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        token: SecretValue,
        *,
        observe: Observer | None = None,
        timeout: float = TIMEOUT,
        trusted: Path | None = None,
        base: str = "",
    ) -> None:
        """`url` is GitLab's external address. `observe` is told of every request, which may take `timeout` seconds.

        `trusted` is a file of the authorities that are trusted, if they are not the library's own. `base` is the
        group below which everything is, empty for the top.
        """
        self.url = url
        self.base = base
        session = _Session()
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=POOL)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        if observe is not None:
            session.hooks["response"].append(_hook(observe))
        self.api = gitlab.Gitlab(
            url,
            private_token=token.reveal(),
            session=session,
            timeout=timeout,
            retry_transient_errors=False,
            ssl_verify=str(trusted) if trusted else True,
        )

    @classmethod
    def of(
        cls, settings: Settings, openbao: OpenBao, *, observe: Observer | None = None, timeout: float = TIMEOUT
    ) -> Self:
        """The client of this profile's GitLab, with the token that OpenBao has or that the profile names.

        Raises ServerError or BadInputError where the token can't be had.
        """
        token = openbao.resolve(token_reference(settings))
        return cls(
            settings.gitlab_url,
            token,
            observe=observe,
            timeout=timeout,
            trusted=trust.bundle(settings),
            base=settings.base_group,
        )

    def under(self, path: str) -> str:
        """The full path of a group or project of Forgeline's."""
        return under(self.base, path)

    def close(self) -> None:
        """Close the connections."""
        self.api.session.close()

    def wait_ready(self, progress: Progress, *, timeout: float = 900.0) -> None:
        """Returns when GitLab says who we are. Raises ServerError after `timeout` seconds or for a refused token."""
        deadline = time.monotonic() + timeout
        announced = False
        while True:
            try:
                self.api.auth()
            except GitlabHttpError as error:
                if error.response_code not in {404, 502, 503, 504}:
                    raise explain(error, self.url) from error
                reason = f"HTTP {error.response_code}"
            except GitlabError as error:
                raise explain(error, self.url) from error
            except NoAnswerError as error:
                reason = type(error.__cause__).__name__
            else:
                return
            if time.monotonic() > deadline:
                raise ServerError(
                    f"does not answer ({reason}) after {timeout:.0f} s", where=self.url, fix="see GitLab's log"
                )
            if not announced:
                progress.start("gitlab", "waiting for GitLab to answer")
                announced = True
            time.sleep(0.2)

    def find_project(self, path: str) -> Project | None:
        """The project with this full path, or None."""
        found: Project | None = absent(lambda: self.api.projects.get(path))
        return found

    def find_group(self, path: str) -> Group | None:
        """The group with this full path, or None. Its projects are not listed."""
        found: Group | None = absent(lambda: self.api.groups.get(path, with_projects=False))
        return found

    def projects_in(self, group: str) -> dict[str, Project]:
        """Every project of the group by its full path, a hundred a request; none where the group isn't there."""
        listed = absent(lambda: list(self.group(group).projects.list(iterator=True, per_page=100, with_shared=False)))
        return {project.path_with_namespace: project for project in listed or ()}

    def project(self, path: str) -> Project:
        """A handle on the project, without asking whether it is there."""
        return self.api.projects.get(path, lazy=True)

    def group(self, path: str) -> Group:
        """A handle on the group, without asking whether it is there."""
        return self.api.groups.get(path, lazy=True)

    def user(self, username: str) -> User:
        """The user of this name. Raises ServerError if there is none."""
        found = self.api.users.list(username=username, get_all=False)
        for user in found:
            if user.username == username:
                return user
        raise ServerError(f"there is no user {username!r}", where=self.url, fix="create the user first")


def absent(get: Callable[[], Any]) -> Any:
    """What `get` returns, or None where GitLab answers 404."""
    try:
        return get()
    except (GitlabGetError, GitlabListError) as error:
        if error.response_code == 404:
            return None
        raise


def _hook(observe: Observer) -> Callable[..., None]:
    def seen(response: requests.Response, *_args: object, **_kwargs: object) -> None:
        request = response.request
        observe(request.method or "", request.path_url.partition("?")[0], response.status_code)

    return seen
