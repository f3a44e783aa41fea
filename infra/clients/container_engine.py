"""The container engine, here or elsewhere: the Docker SDK, with our errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from infra.core.error import ServerError

TIMEOUT = 120
"""Seconds a single request may take: removing a container that does not stop by itself takes some."""

DEFAULT_HOST = "unix:///var/run/docker.sock"

Result = TypeVar("Result")


class ContainerEngine:
    """A Docker engine. Make it with `of`; `close` it in the end."""

    def __init__(self, client: docker.DockerClient, host: str) -> None:
        self.client = client
        self.host = host

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """The engine that `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` name, or this machine's.

        Raises ServerError where none answers, or this user may not use it.
        """
        host = environ.get("DOCKER_HOST") or DEFAULT_HOST
        try:
            client = docker.from_env(environment=dict(environ), timeout=TIMEOUT, use_ssh_client=host.startswith("ssh:"))
            client.ping()
        except (DockerException, requests.RequestException) as error:
            raise _unreachable(host, error) from error
        return cls(client, host)

    @property
    def version(self) -> str:
        """The engine's version."""
        return str(self.client.version()["Version"])

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()


def absent(get: Callable[[], Result]) -> Result | None:
    """What `get` returns, or None where the engine knows no such thing."""
    try:
        return get()
    except NotFound:
        return None


def explain(error: DockerException | requests.RequestException, where: str = "") -> ServerError:
    """The error a person can act on."""
    refused = isinstance(error, APIError)
    said = str((error.explanation if isinstance(error, APIError) else None) or error)
    usual = "run `forgeline status`" if refused else "run `forgeline doctor`"
    fix = next((fix for words, fix in _REMEDIES.items() if words in said), usual)
    return ServerError(f"the container engine {'refused' if refused else 'failed'}: {said}", where=where, fix=fix)


_REMEDIES: Mapping[str, str] = {
    "no space left on device": "free some disk: `docker system df` shows who has it",
    "port is already allocated": "end the other container, or set another port in the profile",
    "address already in use": "end what listens there, or set another port in the profile",
    "has active endpoints": "remove the containers that are on the network first",
    "volume is in use": "remove the containers that use the volume first",
    "is being used by": "remove the containers that are made of the image first",
}


def _unreachable(host: str, error: Exception) -> ServerError:
    causes = list(_causes(error))
    if any(isinstance(cause, PermissionError) for cause in causes):
        fix = "let an administrator add you to the group `docker`, or run a rootless engine and set DOCKER_HOST"
        return ServerError("you may not use the container engine", where=host, fix=fix)
    fix = "start it (`systemctl start docker`, or `dockerd` as root), or set DOCKER_HOST to one that runs"
    return ServerError("no container engine answers", where=host, fix=fix, detail=str(causes[-1])[:500])


def _causes(error: BaseException) -> Any:
    """The error, and what it came from: libraries keep it as a cause, a context or an argument."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [each for each in (one.__cause__, one.__context__, *one.args) if isinstance(each, BaseException)]
