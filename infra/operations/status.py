"""What runs: each server with its health and version, each service with its last pipeline and what `dev` serves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
from gitlab.exceptions import GitlabError

from infra.clients import trust
from infra.clients.container import Containers
from infra.clients.container_engine import ContainerEngine
from infra.clients.gitlab import TIMEOUT, GitLab
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.clients.supervisor import Supervisor
from infra.core.error import ForgelineError, ServerError
from infra.core.naming import SERVICES_GROUP
from infra.core.settings import Placement, Settings
from infra.operations.pipeline_run import PipelineRun, latest
from infra.operations.service_probe import PROBE_SECONDS, ServiceProbe
from infra.servers.proxy import WELL
from pipelines.catalogue import Catalogue, Service

GLANCE_SECONDS = 10.0
"""How long GitLab may take for an answer that is only looked at: a table is not worth a minute's wait."""


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    """A server: `process` is what the supervisor or the container engine says, `detail` says why it is not healthy."""

    name: str
    healthy: bool
    process: str
    version: str
    url: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class ServiceStatus:
    """A service: `dev` is the version that answers there, None where none does."""

    name: str
    pipeline: PipelineRun | None
    dev: str | None
    dev_url: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Status:
    """Everything at once."""

    servers: tuple[ServerStatus, ...]
    services: tuple[ServiceStatus, ...]

    @property
    def healthy(self) -> bool:
        """Whether every server is."""
        return all(server.healthy for server in self.servers)

    def as_json(self) -> dict[str, Any]:
        """A JSON object with `servers` and `services`."""
        services = [
            {**vars(service), "pipeline": service.pipeline.as_json() if service.pipeline else None}
            for service in self.services
        ]
        return {"servers": [vars(server) for server in self.servers], "services": services}


def status(settings: Settings, catalogue: Catalogue, environ: Mapping[str, str] = os.environ) -> Status:
    """The present state of the stack. Changes nothing; a server that does not answer is told, not raised.

    `environ` says which container engine is meant.
    """
    programs = _programs(settings, environ)
    openbao = OpenBao.of(settings)
    servers = (
        *_proxy(settings, programs),
        _server("openbao", programs, settings.openbao_url, lambda: _openbao(openbao)),
        _server("nexus", programs, settings.nexus_url, lambda: _nexus(settings, openbao)),
        _server("gitlab", programs, settings.gitlab_url, lambda: _gitlab(settings, openbao)),
        _server("runner", programs, "", lambda: _runner(settings, openbao)),
    )
    gitlab = (
        gitlab_client(settings, openbao) if all(s.healthy for s in servers if s.name in {"openbao", "gitlab"}) else None
    )
    with ServiceProbe(settings) as probe, ThreadPoolExecutor(max_workers=8) as pool:
        services = tuple(pool.map(lambda service: _service(probe, gitlab, service), catalogue))
    return Status(servers=servers, services=services)


class _UnhealthyError(Exception):
    """Why a server is not healthy, in a few words."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def _programs(settings: Settings, environ: Mapping[str, str]) -> dict[str, str] | None:
    """What the supervisor or the engine says of each server; None where others run them."""
    if settings.existing:
        return None
    if settings.profile.placement is Placement.DOCKER:
        try:
            engine = ContainerEngine.of(environ)
        except ServerError:
            return {}
        try:
            return Containers.of(settings, engine).states()
        finally:
            engine.close()
    programs = Supervisor(settings.state).programs()
    return {name: f"{program.state.lower()}, pid {program.pid}" for name, program in programs.items() if program.pid}


def _proxy(settings: Settings, programs: Mapping[str, str] | None) -> Iterator[ServerStatus]:
    if settings.profile.placement is Placement.DOCKER:
        verify = trust.context(trust.bundle(settings))

        def probe() -> str:
            answer = httpx.get(f"{settings.openbao_url}{WELL}", timeout=PROBE_SECONDS, trust_env=False, verify=verify)
            if answer.status_code != 200:
                raise _UnhealthyError(f"answers {answer.status_code}")
            return str(answer.headers.get("server", ""))

        yield _server("proxy", programs, "", probe)


def _server(name: str, programs: Mapping[str, str] | None, url: str, probe: Callable[[], str]) -> ServerStatus:
    """`programs` say how each server runs, None where others run them."""
    process = "run by others" if programs is None else programs.get(name, "not running")
    try:
        version = probe()
    except (_UnhealthyError, ForgelineError, GitlabError, httpx.HTTPError, OSError) as error:
        reason = error.what if isinstance(error, ForgelineError | _UnhealthyError) else "does not answer"
        return ServerStatus(name=name, healthy=False, process=process, version="", url=url, detail=reason)
    return ServerStatus(name=name, healthy=True, process=process, version=version, url=url)


def _openbao(openbao: OpenBao) -> str:
    health = openbao.health()
    if health is None:
        raise _UnhealthyError("does not answer")
    if health.get("sealed", True):
        raise _UnhealthyError("is sealed")
    return str(health["version"])


def _nexus(settings: Settings, openbao: OpenBao) -> str:
    client = NexusClient.of(settings, openbao)
    try:
        if not client.answers():
            raise _UnhealthyError("does not answer")
        if not client.writable():
            raise _UnhealthyError("is read-only")
        return client.version()
    finally:
        client.close()


def gitlab_client(settings: Settings, openbao: OpenBao | None = None, *, timeout: float = TIMEOUT) -> GitLab:
    """GitLab as its administrator; a request may take `timeout` seconds.

    Raises ServerError where OpenBao, which has the token, does not answer.
    """
    return GitLab.of(settings, openbao or OpenBao.of(settings), timeout=timeout)


def _gitlab(settings: Settings, openbao: OpenBao) -> str:
    if settings.existing:
        # Its readiness is told to addresses that it was told of, which ours need not be.
        version, revision = gitlab_client(settings, openbao, timeout=PROBE_SECONDS).api.version()
        return f"{version} ({revision})"
    url, verify = f"{settings.gitlab_url}/-/readiness", trust.context(trust.bundle(settings))
    answer = httpx.get(url, timeout=PROBE_SECONDS, trust_env=False, verify=verify)
    if answer.status_code != 200:
        raise _UnhealthyError(f"is not ready (HTTP {answer.status_code})")
    version, revision = gitlab_client(settings, openbao).api.version()
    return f"{version} ({revision})"


def _runner(settings: Settings, openbao: OpenBao) -> str:
    client = gitlab_client(settings, openbao)
    if settings.existing:
        # Who is no administrator sees the runners of a group; each of them tells less than all.
        group = client.group(client.under(SERVICES_GROUP))
        online = group.runners.list(status="online", get_all=True)
        if online:
            return f"{len(online)} online for {client.under(SERVICES_GROUP)}"
        raise _UnhealthyError(f"no runner of {client.under(SERVICES_GROUP)} is online")
    for short in client.api.runners_all.list(iterator=True):
        if short.status == "online":
            return str(client.api.runners.get(short.id).version)
    raise _UnhealthyError("GitLab has not heard of it lately")


def _service(probe: ServiceProbe, gitlab: GitLab | None, service: Service) -> ServiceStatus:
    run, detail = None, ""
    if gitlab is not None:
        try:
            run = latest(gitlab, service)
        except ForgelineError as error:
            detail = error.what
    return ServiceStatus(
        name=service.name,
        pipeline=run,
        dev=probe.version(service, "dev"),
        dev_url=probe.url(service, "dev"),
        detail=detail,
    )
