"""The servers as the provider reaches them: each client is made once, when first needed, and is ready when handed out.

Nexus takes some twenty seconds to come up. A resource that needs it waits here, while the others go on.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Self, TypeVar

from infra.clients.container import Containers
from infra.clients.container_engine import ContainerEngine
from infra.clients.gitlab import GitLab
from infra.clients.given import read_given
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.clients.process import Processes
from infra.clients.request import Observer
from infra.core.error import ServerError
from infra.core.progress import Progress, Silent
from infra.core.secret import DerivedSecret, GivenSecret, Keeper, SecretRef, SecretValue, parse_secret
from infra.core.server import Server
from infra.core.settings import Placement, Settings

Client = TypeVar("Client")

PLACING_SECONDS = 60.0
"""How long a server may take until its process is there, when nobody waits for it to be of use."""


class _Once(Generic[Client]):
    """A client that is made by the first who asks; the others wait for it. A failure is not kept."""

    def __init__(self, name: str, make: Callable[[], Client] | None) -> None:
        self._name = name
        self._make = make
        self._lock = threading.Lock()
        self._client: Client | None = None

    @property
    def made(self) -> Client | None:
        """The client, if anybody asked for it."""
        return self._client

    def get(self) -> Client:
        with self._lock:
            if self._client is None:
                if self._make is None:
                    raise ServerError(f"this run has no connection to {self._name}", fix="check the profile")
                self._client = self._make()
            return self._client


class Connections:
    """Clients of the servers, each made by the function given for it. Safe to use from several threads."""

    def __init__(
        self,
        *,
        gitlab: Callable[[], GitLab] | None = None,
        openbao: Callable[[], OpenBao] | None = None,
        nexus: Callable[[], NexusClient] | None = None,
        processes: Callable[[], Processes] | None = None,
        engine: Callable[[], ContainerEngine] | None = None,
        containers: Callable[[], Containers] | None = None,
        local_secret: Callable[[DerivedSecret], SecretValue] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """`local_secret` gives the secrets for which OpenBao need not be asked."""
        self.progress = progress or Silent()
        self._gitlab = _Once("GitLab", gitlab)
        self._openbao = _Once("OpenBao", openbao)
        self._nexus = _Once("Nexus", nexus)
        self._processes = _Once("the supervisor", processes)
        self._engine = _Once("a container engine", engine)
        self._containers = _Once("a container engine", containers)
        self._local_secret = local_secret
        self._starting: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="server")

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        servers: Iterable[Server] = (),
        progress: Progress | None = None,
        observe: Observer | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """The servers of this profile. A description in `servers` says how to wait for that server.

        `environ` says which container engine is meant.
        """
        shown = progress or Silent()
        placed = settings.profile.placement
        unasked = OpenBao.of(settings, observe=observe)
        described = {server.name: server for server in servers}

        def openbao() -> OpenBao:
            client = OpenBao.of(settings, observe=observe)
            client.wait_ready(shown)
            return client

        def gitlab() -> GitLab:
            client = GitLab.of(settings, self.openbao(), observe=observe)
            client.wait_ready(shown)
            client.require_release()
            return client

        def nexus() -> NexusClient:
            client = NexusClient.of(settings, self.openbao(), observe=observe)
            if "nexus" in described:
                self._ready(described["nexus"], placed)
            client.wait_ready(shown)
            return client

        self = cls(
            gitlab=gitlab,
            openbao=openbao,
            nexus=nexus,
            processes=lambda: Processes.of(settings, progress=shown, observe=observe),
            engine=lambda: ContainerEngine.of(environ),
            containers=lambda: Containers.of(settings, self.engine(), progress=shown, observe=observe),
            local_secret=unasked.resolve,
            progress=shown,
        )
        return self

    def gitlab(self) -> GitLab:
        """GitLab, as its administrator. Waits until it answers."""
        return self._gitlab.get()

    def openbao(self) -> OpenBao:
        """OpenBao, as Forgeline's operator. Waits until it is unsealed."""
        return self._openbao.get()

    def nexus(self) -> NexusClient:
        """Nexus, as its administrator. Waits until it answers."""
        return self._nexus.get()

    def processes(self) -> Processes:
        """The lab's processes."""
        return self._processes.get()

    def containers(self) -> Containers:
        """The profile's containers."""
        return self._containers.get()

    def engine(self) -> ContainerEngine:
        """The container engine."""
        return self._engine.get()

    def start(self, server: Server, *, wait: bool) -> None:
        """Makes a server of the lab run as described; returns when it is of use or, without `wait`, when it is started.

        Raises ServerError where it does not start. What goes wrong later is raised by who waits for the server next.
        """
        with self._lock:
            starting = self._starting.get(server.name)
            if starting is None or starting.done():
                starting = self._threads.submit(self.processes().apply, server)
                self._starting[server.name] = starting
        if wait:
            starting.result()
            return
        deadline = time.monotonic() + PLACING_SECONDS
        while not starting.done():
            program = self.processes().supervisor.program(server.name)
            if program is not None and program.running:
                return
            if time.monotonic() > deadline:
                raise ServerError("was not started in time", where=server.name, fix=f"less {server.log}")
            time.sleep(0.05)
        starting.result()

    def wait(self, server: Server, placed: Placement) -> None:
        """Returns when the server is of use. Raises ServerError when it is not within its time."""
        if placed is Placement.DOCKER:
            self.containers().wait(server)
        else:
            self.processes().wait(server)

    def _ready(self, server: Server, placed: Placement) -> None:
        """Returns when the server is of use; a process is started if it does not run."""
        if placed is Placement.LAB:
            self.start(server, wait=True)
        else:
            self.wait(server, placed)

    def close(self) -> None:
        """Closes the connections that were made. Waits for servers that are being started."""
        self._threads.shutdown()
        for client in (self._gitlab.made, self._nexus.made, self._engine.made):
            if client is not None:
                client.close()

    def settle(self) -> None:
        """Returns when every server that was started is of use. Raises ServerError for the first that is not."""
        for starting in list(self._starting.values()):
            starting.result()

    def secret(self, reference: str) -> SecretValue:
        """The value of a reference. Raises ServerError where there is none."""
        parsed = parse_secret(reference)
        # Nobody has to be asked for these: the proxy and OpenBao's own container are made with some.
        if isinstance(parsed, GivenSecret) and parsed.keeper is not Keeper.VAULT:
            return read_given(parsed)
        if not isinstance(parsed, DerivedSecret):
            return self.openbao().resolve(parsed)
        if self._local_secret is None:
            raise ServerError("this run has no bootstrap key", where=reference, fix="check the profile")
        return self._local_secret(parsed)

    def find_secret(self, reference: str) -> SecretValue | None:
        """The value of a reference, or None where there is none."""
        place = SecretRef.parse(reference)
        return (self.openbao().read_kv(place.path) or {}).get(place.field)

    def keep_secret(self, reference: str, value: str) -> None:
        """Puts a value that a server made into OpenBao, beside the entry's other fields."""
        place = SecretRef.parse(reference)
        fields = self.openbao().read_kv(place.path) or {}
        self.openbao().write_kv(place.path, {**fields, place.field: SecretValue(value)})
