"""The placement "container": how described servers are found, waited for, stopped and removed on a container engine."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import requests
from docker.errors import DockerException

from infra.clients import trust
from infra.clients.container_engine import ContainerEngine, absent, explain, remedy
from infra.clients.openbao import OpenBao
from infra.clients.readiness import Prober
from infra.clients.request import Observer
from infra.core.error import ServerError
from infra.core.naming import container_name
from infra.core.progress import Progress, Silent
from infra.core.server import Readiness, Server
from infra.core.settings import Settings

if TYPE_CHECKING:
    from docker.models.containers import Container as Running

PROFILE_LABEL = "forgeline.profile"
"""On everything that is made for a profile; `SERVER_LABEL` is on the containers."""
SERVER_LABEL = "forgeline.server"

INTERVAL = 0.2
"""Seconds between two questions to a server that is starting."""

DEATHS = 2
"""How often a container may be started again by its engine while it is waited for."""

LAST_LINES = 20
SHOWN_CHARACTERS = 70
"""Of a server's last line, while it is waited for."""
LAST_CHARACTERS = 200
"""Of what an engine's check of a container's health said."""
SIZE_LIMIT = 1_000_000
"""Bytes of a file that is read back."""


class ContainerFiles:
    """Files in a container, which need not run."""

    def __init__(self, container: Running) -> None:
        self._container = container

    def stat(self, path: str) -> dict[str, Any] | None:
        """What the engine says of a path; None if there is nothing."""
        answer = absent(lambda: self._container.get_archive(path))
        if answer is None:
            return None
        stream, told = answer
        close(stream)
        return dict(told or {})

    def entry(self, path: str) -> tuple[str, int] | None:
        """A file's text and mode; None if there is none, or it is larger than anything that is put there."""
        answer = absent(lambda: self._container.get_archive(path))
        if answer is None:
            return None
        archive = io.BytesIO()
        for chunk in answer[0]:
            archive.write(chunk)
            if archive.tell() > SIZE_LIMIT:
                close(answer[0])
                return None
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            member = tar.next()
            stream = tar.extractfile(member) if member is not None and member.isreg() else None
            if member is None or stream is None:
                return None
            return stream.read().decode(errors="replace"), member.mode & 0o7777

    def read(self, path: str) -> str | None:
        """A file's text, or None if there is none."""
        found = self.entry(path)
        return None if found is None else found[0]

    def remove(self, path: str) -> None:
        """Removes a file; the container must run. Raises ServerError where it can't be done."""
        code, said = self._container.exec_run(["rm", "-f", path])
        if code != 0:
            told = said.decode(errors="replace") if isinstance(said, bytes) else ""
            where = f"container {self._container.name}"
            raise ServerError(f"{path} can't be removed", where=where, detail=told.strip())


def close(stream: Any) -> None:
    """Ends an answer that is not read to its end."""
    ending = getattr(stream, "close", None)
    if ending is not None:
        ending()


class Containers:
    """The containers of one profile. Safe to use from several threads, one server in one thread."""

    def __init__(
        self, engine: ContainerEngine, prober: Prober, *, profile: str, progress: Progress | None = None
    ) -> None:
        self._engine = engine
        self._prober = prober
        self._profile = profile
        self._progress = progress or Silent()

    @classmethod
    def of(
        cls,
        settings: Settings,
        engine: ContainerEngine,
        *,
        progress: Progress | None = None,
        observe: Observer | None = None,
    ) -> Self:
        """The containers of this profile on the engine."""
        prober = Prober(OpenBao.of(settings, observe=observe), trusted=trust.bundle(settings), observe=observe)
        return cls(engine, prober, profile=settings.profile.name, progress=progress)

    def find(self, name: str) -> Running | None:
        """The container of this name."""
        return absent(lambda: self._engine.client.containers.get(name))

    def running(self, name: str) -> bool:
        """Whether there is such a container and it runs."""
        found = self.find(name)
        return found is not None and found.status == "running"

    def wait(self, server: Server) -> None:
        """Returns when the server is of use. Raises ServerError when it died, or after its time."""
        self.wait_ready(container_name(self._profile, server.name), server.readiness, shown=server.name)

    def wait_ready(self, name: str, readiness: Readiness, *, shown: str) -> None:
        """Returns when real use proves the container ready. Raises ServerError with its state and last lines."""
        deadline = time.monotonic() + readiness.timeout
        container = self.find(name)
        if container is None:
            raise ServerError("there is no such container", where=name, fix="`forgeline up` makes it")
        before, told = container.attrs["RestartCount"], False
        while True:
            container.reload()
            state = container.attrs["State"]
            if state["Status"] in {"exited", "dead"} or container.attrs["RestartCount"] - before > DEATHS:
                raise failed(container, f"ended by itself with exit code {state['ExitCode']}")
            running = state["Status"] == "running"
            waiting = self._prober.ask(readiness, ContainerFiles(container)) if running else "starting"
            if not waiting:
                if told:
                    self._progress.done(shown, "ready")
                return
            if time.monotonic() > deadline:
                raise failed(container, f"is not ready after {readiness.timeout:.0f} s: {waiting}")
            self._progress.start(shown, f"{waiting}; {_far(container)}" if readiness.tells else waiting)
            told = True
            time.sleep(INTERVAL)

    def states(self) -> dict[str, str]:
        """What the engine says of each server's container, by the server's name."""
        return {
            container.labels.get(SERVER_LABEL, container.name or ""): _words(container) for container in self._all()
        }

    def stop(self) -> bool:
        """Stops the containers, the proxy last, and keeps all data. Returns whether any ran."""
        running = [container for container in self._all() if container.status in {"running", "restarting"}]
        for container in sorted(running, key=_stop_order):
            self._progress.start(str(container.labels.get(SERVER_LABEL)), "stopping")
            container.stop()
            self._progress.done(str(container.labels.get(SERVER_LABEL)), "stopped, data kept")
        return bool(running)

    def remove(self) -> None:
        """Removes containers, networks and volumes of the profile: with the volumes, all data."""
        client, mine = self._engine.client, {"label": f"{PROFILE_LABEL}={self._profile}"}
        try:
            for container in self._all():
                container.remove(force=True)
            for network in client.networks.list(filters=mine):
                network.remove()
            for volume in client.volumes.list(filters=mine):
                volume.remove()
        except (DockerException, requests.RequestException) as error:
            raise explain(error, f"profile {self._profile}") from error

    def _all(self) -> Iterator[Running]:
        mine: dict[str, str | list[str] | bool] = {"label": f"{PROFILE_LABEL}={self._profile}"}
        yield from self._engine.client.containers.list(all=True, filters=mine)


def _far(container: Running) -> str:
    """How far a server is that takes its time: what the engine says of it, and what it said last itself."""
    state = container.attrs["State"]
    health = (state.get("Health") or {}).get("Status")
    said = container.logs(tail=1).decode(errors="replace").strip()
    told = f"{state['Status']} ({health})" if health else str(state["Status"])
    return f"{told}: {said[-SHOWN_CHARACTERS:]}" if said else told


_LAST_STOPPED = ("runner", "gitlab", "nexus", "openbao", "proxy")


def _stop_order(container: Running) -> int:
    name = container.labels.get(SERVER_LABEL, "")
    return _LAST_STOPPED.index(name) if name in _LAST_STOPPED else 0


def _words(container: Running) -> str:
    state = container.attrs["State"]
    if state["Status"] != "running":
        return f"{state['Status']}, exit code {state['ExitCode']}"
    health = state.get("Health") or {}
    if health.get("Status") == "unhealthy":
        # A new attempt that is under way has said nothing yet.
        said = next((one["Output"].strip() for one in reversed(health.get("Log") or ()) if one["Output"].strip()), "")
        return f"running, {container.short_id}, unhealthy: {said[:LAST_CHARACTERS] or 'its check fails'}"
    return f"running, {container.short_id}"


def failed(container: Running, what: str, said: str = "") -> ServerError:
    """What is wrong with a container, with what it said last and where to read on."""
    lines = container.logs(tail=LAST_LINES).decode(errors="replace").strip()
    told = "\n".join(part for part in (said.strip(), lines) if part)
    fix = remedy(what) or f"docker logs {container.name}"
    return ServerError(what, where=f"container {container.name}", detail=told, fix=fix)
