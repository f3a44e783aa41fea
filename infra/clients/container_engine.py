"""The container engine, here or elsewhere: the Docker SDK, with our errors."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Self, TypeVar

import docker
import requests
from docker.constants import MINIMUM_DOCKER_API_VERSION
from docker.errors import APIError, DockerException, NotFound, TLSParameterError

from infra.clients.ssh_tunnel import ENGINE_SOCKET, SshTunnel
from infra.core.error import ServerError

TIMEOUT = 120
"""Seconds a single request may take: removing a container that does not stop by itself takes some."""

DEFAULT_HOST = f"unix://{ENGINE_SOCKET}"

_TLS = ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")

Result = TypeVar("Result")


class ContainerEngine:
    """A Docker engine. Make it with `of`; `close` it in the end."""

    def __init__(self, client: docker.DockerClient, host: str, tunnel: SshTunnel | None = None) -> None:
        self.client = client
        self.host = host
        self._tunnel = tunnel

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """The engine that `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` name, or this machine's.

        It may be behind TLS (`tcp://…`) or SSH (`ssh://USER@HOST`). Raises ServerError where none answers, or this
        user may not use it.
        """
        host = environ.get("DOCKER_HOST") or DEFAULT_HOST
        tunnel = SshTunnel.to(host) if host.startswith("ssh://") else None
        here = dict(environ)
        if tunnel is not None:
            here = {name: value for name, value in environ.items() if name not in _TLS} | {"DOCKER_HOST": tunnel.host}
        try:
            client = _connected(here)
        except (DockerException, requests.RequestException) as error:
            said = "" if tunnel is None else tunnel.said
            if tunnel is not None:
                tunnel.close()
            raise _unreachable(host, error, said) from error
        return cls(client, host, tunnel)

    @property
    def version(self) -> str:
        """The engine's version."""
        return str(self.client.version()["Version"])

    def identifiers(self, images: Iterable[str]) -> dict[str, str]:
        """The id of each image by its name, of those that the engine has."""
        found = {name: absent(partial(self.client.images.get, name)) for name in images}
        return {name: str(image.id) for name, image in found.items() if image is not None}

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()
        if self._tunnel is not None:
            self._tunnel.close()


def _connected(environ: Mapping[str, str]) -> docker.DockerClient:
    """A client that speaks the version of the API that the engine has, and trusts whom the engine's settings say.

    The library below the SDK would rather trust REQUESTS_CA_BUNDLE, and send an engine's requests through a proxy.
    """

    def made(version: str) -> docker.DockerClient:
        client = docker.from_env(environment=dict(environ), timeout=TIMEOUT, version=version)
        client.api.trust_env = False
        return client

    asking = made(MINIMUM_DOCKER_API_VERSION)
    try:
        version = str(asking.version(api_version=False)["ApiVersion"])
    finally:
        asking.close()
    return made(version)


def absent(get: Callable[[], Result]) -> Result | None:
    """What `get` returns, or None where the engine knows no such thing."""
    try:
        return get()
    except NotFound:
        return None


def explain(error: Exception, where: str = "") -> ServerError:
    """The error a person can act on, of what the SDK and the library below it raise."""
    if isinstance(error, APIError):
        said = str(error.explanation or error)
        fix = remedy(said) or "run `forgeline status`"
        return ServerError(f"the container engine refused: {said}", where=where, fix=fix)
    if isinstance(error, DockerException):
        fix = remedy(str(error)) or "run `forgeline doctor`"
        return ServerError(f"the container engine failed: {error}", where=where, fix=fix)
    fix = "see that it runs, then do the same again: what is done stays, and the rest follows"
    return ServerError("the container engine went away", where=where, fix=fix, detail=str(error)[:LAST_CHARACTERS])


def remedy(said: str) -> str:
    """What to do about what the engine says; nothing where that is not known."""
    return next((fix for words, fix in _REMEDIES.items() if words in said), "")


LAST_CHARACTERS = 500

_REMEDIES: Mapping[str, str] = {
    "no space left on device": "free some disk: `docker system df` shows who has it, `docker system prune` frees it",
    "port is already allocated": "end the other container, or set another port in the profile",
    "address already in use": "end what listens there, or set another port in the profile",
    "has active endpoints": "remove the containers that are on the network first",
    "volume is in use": "remove the containers that use the volume first",
    "is being used by": "remove the containers that are made of the image first",
    "HTTP response to HTTPS client": "give the registry TLS, or name it in `insecure-registries` of the engine",
    "certificate signed by unknown": "give the engine its authority: /etc/docker/certs.d/HOST:PORT/ca.crt",
    "dial tcp": "see that the engine's machine reaches the registry that the profile names (`images.registry`)",
    "Client.Timeout": "see that the engine's machine reaches the registry that the profile names (`images.registry`)",
    "manifest unknown": "ask the registry for the digest of the version that you want: `forgeline images pin`",
    "authentication required": "sign in to the registry: `docker login HOST:PORT`",
    "no basic auth credentials": "sign in to the registry: `docker login HOST:PORT`",
    "denied": "sign in to the registry as somebody who may pull it: `docker login HOST:PORT`",
    "not a swarm manager": "make it one (`docker swarm init`), or set DOCKER_HOST to a manager of the swarm",
}


def _unreachable(host: str, error: Exception, said: str) -> ServerError:
    """`said` is what the way there had to say, if there is one."""
    causes = list(_causes(error))
    detail = said or str(causes[-1])[:LAST_CHARACTERS]
    if any(isinstance(cause, PermissionError) for cause in causes) or "Permission denied" in said:
        fix = "let an administrator add you to the group `docker`, or run a rootless engine and set DOCKER_HOST"
        return ServerError("you may not use the container engine", where=host, fix=fix)
    found = _tls_trouble(error, causes)
    if found is not None:
        what, fix = found
        return ServerError(what, where=host, fix=fix, detail=detail)
    fix = "start it (`systemctl start docker`, or `dockerd` as root), or set DOCKER_HOST to one that runs"
    return ServerError("no container engine answers", where=host, fix=fix, detail=detail)


def _tls_trouble(error: Exception, causes: list[BaseException]) -> tuple[str, str] | None:
    """What is wrong between the two sides' certificates, and what to do; None where they are not to blame."""
    if isinstance(error, TLSParameterError):
        return (
            "the engine's certificates can't be read",
            "set DOCKER_CERT_PATH to a folder with ca.pem, cert.pem, key.pem",
        )
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        fix = "put the certificate of the authority that signed the engine's into DOCKER_CERT_PATH/ca.pem"
        return "the engine's certificate is not trusted", fix
    told = " ".join(str(cause) for cause in causes)
    if "HTTP request to an HTTPS server" in told:
        return "the engine speaks TLS only", "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"
    if "WRONG_VERSION_NUMBER" in told or "record layer failure" in told:
        return "the engine does not speak TLS there", "unset DOCKER_TLS_VERIFY, or name the engine's TLS port"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        fix = "put cert.pem and key.pem, signed by the authority that the engine trusts, into DOCKER_CERT_PATH"
        return "the engine does not accept this machine's certificate", fix
    return None


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
