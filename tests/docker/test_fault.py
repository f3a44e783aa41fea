"""What goes wrong on real engines: each is told with its remedy, nothing is lost, and the next run finishes."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.clients.container_engine import ContainerEngine
from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.docker.container import CONTAINER
from infra.provider.docker.image import IMAGE
from infra.provider.docker.network import NETWORK
from infra.provider.docker.volume import VOLUME
from infra.provider.explain import explained
from infra.provider.kind import Kind
from infra.provider.provider import bring_about
from tests.docker.daemon import Daemon
from tests.docker.described import wanted
from tests.docker.registry import OneFile
from tests.loopback import serving
from tests.trial import free_ports

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.docker.test_kind")]

MIB = 2**20
SMALL, BIG = "40m", "400m"
CONTENT = os.urandom(44 * MIB)
PROGRAM = "forgeline-test/fault:1"


def settled(kind: Kind[Any], connections: Connections, described: Any) -> bool:
    found = kind.read(connections, described)
    return found is not None and not kind.changes(described.model_dump(mode="json"), kind.observed(described, found))


class SmallDisk:
    """An engine whose disk has little room, until it gets more."""

    def __init__(self, folder: Path) -> None:
        self._disk = folder / "disk"
        self._disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={BIG}", "tmpfs", self._disk], check=True)
        self.daemon = Daemon(folder, data=self._disk)

    def size(self, size: str) -> None:
        """How much it holds from now on."""
        subprocess.run(["mount", "-o", f"remount,size={size}", self._disk], check=True)


@pytest.fixture(scope="module")
def small(host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """An engine of this module's own, which may be filled and killed."""
    assert host
    folder = tmp_path_factory.mktemp("small")
    it = SmallDisk(folder)
    try:
        it.daemon.start()
        yield it
    finally:
        # Also where it does not start: pytest would stumble over what stays mounted.
        it.daemon.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def connections(small: SmallDisk) -> Iterator[Connections]:
    engine = ContainerEngine.of({"DOCKER_HOST": small.daemon.address})
    yield Connections(engine=lambda: engine)
    engine.close()


@pytest.fixture
def image(connections: Connections, context: Path) -> str:
    inputs = {"reference": PROGRAM, "context": str(context), "context_sha256": "a" * 64}
    bring_about(IMAGE, connections, wanted(IMAGE, inputs))
    return PROGRAM


def full(small: SmallDisk, connections: Connections, described: Any) -> ServerError:
    """What is told when there is no room, after which there is room and the same is done."""
    small.size(SMALL)
    try:
        with pytest.raises(ServerError) as caught:
            bring_about(IMAGE, connections, described)
        assert not settled(IMAGE, connections, described)
    finally:
        small.size(BIG)
    bring_about(IMAGE, connections, described)
    assert settled(IMAGE, connections, described)
    images = connections.engine().client.images
    before = len(images.list(all=True))
    IMAGE.delete(connections, described)
    assert len(images.list(all=True)) < before, "what is removed must leave the disk"
    return caught.value


def much_to_send(folder: Path) -> None:
    """What an image is built of is itself more than fits."""
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY big /\n")
    (folder / "big").write_bytes(CONTENT)


def much_to_unpack(folder: Path) -> None:
    """A step of the build makes more than fits."""
    (folder / "Dockerfile").write_text("FROM scratch\nADD big.tar.gz /\n")
    with tarfile.open(folder / "big.tar.gz", mode="w:gz") as tar:
        entry = tarfile.TarInfo("big")
        entry.size = len(CONTENT)
        tar.addfile(entry, io.BytesIO(bytes(len(CONTENT))))


@pytest.mark.parametrize("arrange", [much_to_send, much_to_unpack])
def test_a_disk_that_is_full_while_an_image_is_built(
    small: SmallDisk, connections: Connections, tmp_path: Path, arrange: Callable[[Path], None]
) -> None:
    arrange(tmp_path)
    inputs = {"reference": "forgeline-test/big:1", "context": str(tmp_path), "context_sha256": "b" * 64}
    told = full(small, connections, wanted(IMAGE, inputs))
    assert "no space left on device" in told.what
    assert "docker system df" in told.fix


def test_a_disk_that_is_full_while_an_image_is_pulled(small: SmallDisk, connections: Connections) -> None:
    registry = OneFile(CONTENT)
    with serving(registry.handler()) as url:
        name = f"{url.removeprefix('http://')}/thing"
        described = wanted(IMAGE, {"reference": f"{name}:1", "digest": registry.digest})
        told = full(small, connections, described)
        assert "no space left on device" in told.what
        assert "docker system df" in told.fix
        assert told.where == f"{name}@{registry.digest}"


def test_an_image_that_is_not_in_the_registry(connections: Connections) -> None:
    registry = OneFile(b"small")
    with serving(registry.handler()) as url:
        name = f"{url.removeprefix('http://')}/thing"
        with pytest.raises(ServerError, match="manifest unknown") as caught:
            bring_about(IMAGE, connections, wanted(IMAGE, {"reference": f"{name}:1", "digest": "sha256:" + "0" * 64}))
        assert "forgeline images pin" in caught.value.fix


def test_a_registry_that_does_not_answer(connections: Connections) -> None:
    (silent,) = free_ports(1)
    described = wanted(IMAGE, {"reference": f"127.0.0.1:{silent}/thing:1", "digest": "sha256:" + "0" * 64})
    with pytest.raises(ServerError, match="refused") as caught:
        bring_about(IMAGE, connections, described)
    assert "images.registry" in caught.value.fix


def test_an_engine_that_this_user_may_not_use(small: SmallDisk) -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(ServerError, match="may not use") as caught:
            ContainerEngine.of({"DOCKER_HOST": small.daemon.address})
    finally:
        os.seteuid(0)
    assert "group `docker`" in caught.value.fix


def test_a_port_that_is_taken(connections: Connections, image: str) -> None:
    bring_about(NETWORK, connections, wanted(NETWORK, {"name": "outward"}))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        inputs = {
            "name": "web",
            "image": image,
            "command": ["serve"],
            "networks": {"outward": []},
            "ports": {"8080/tcp": f"127.0.0.1:{port}"},
        }
        described = wanted(CONTAINER, inputs)
        with pytest.raises(ServerError, match="already in use") as caught:
            bring_about(CONTAINER, connections, described)
        assert "set another port in the profile" in caught.value.fix
        assert caught.value.where == "container web"
    bring_about(CONTAINER, connections, described)
    assert settled(CONTAINER, connections, described)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        assert answer.status == 200
    CONTAINER.delete(connections, described)
    NETWORK.delete(connections, wanted(NETWORK, {"name": "outward"}))


def put(connections: Connections, path: str, content: bytes) -> None:
    """Puts a file into the container `kept`."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(Path(path).name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    connections.engine().client.containers.get("kept").put_archive(str(Path(path).parent), archive.getvalue())


def content(connections: Connections, path: str) -> bytes:
    stream, _ = connections.engine().client.containers.get("kept").get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        member = tar.extractfile(tar.getmembers()[0])
        assert member is not None
        return member.read()


@pytest.fixture
def kept(connections: Connections, image: str) -> dict[str, Any]:
    """A running container with data in a volume, and its inputs."""
    inputs = {"name": "kept", "image": image, "command": ["serve"], "volumes": {"/data": "worth"}}
    bring_about(VOLUME, connections, wanted(VOLUME, {"name": "worth"}))
    bring_about(CONTAINER, connections, wanted(CONTAINER, inputs))
    put(connections, "/data/worth", b"much")
    return inputs


NOT_YET = {"command": ["/program", "has", "/data/go"], "interval_seconds": 0.2, "retries": 1000}


def test_an_engine_that_is_killed_in_the_middle_of_an_update(
    small: SmallDisk, connections: Connections, kept: dict[str, Any]
) -> None:
    described = wanted(CONTAINER, {**kept, "environment": {"MODE": "new"}, "health": NOT_YET})
    told: list[Exception] = []

    def update() -> None:
        try:
            bring_about(CONTAINER, connections, described)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
            told.append(explained(error))

    work = threading.Thread(target=update)
    work.start()
    made_anew(small.daemon.address)
    small.daemon.kill()
    work.join(timeout=60)
    assert not work.is_alive()
    assert isinstance(told[0], ServerError), told
    assert told[0].what == "the container engine went away"
    assert "the rest follows" in told[0].fix
    small.daemon.start()
    again = ContainerEngine.of({"DOCKER_HOST": small.daemon.address})
    connected = Connections(engine=lambda: again)
    try:
        put(connected, "/data/go", b"")
        bring_about(CONTAINER, connected, described)
        assert settled(CONTAINER, connected, described)
        assert content(connected, "/data/worth") == b"much"
        CONTAINER.delete(connected, described)
        VOLUME.delete(connected, wanted(VOLUME, {"name": "worth"}))
    finally:
        again.close()


def made_anew(address: str) -> None:
    """Returns when the container `kept` is the new one."""
    watching = ContainerEngine.of({"DOCKER_HOST": address})
    try:
        for _ in range(600):
            found = watching.client.containers.list(filters={"name": "kept"})
            if found and "MODE=new" in found[0].attrs["Config"]["Env"]:
                return
            threading.Event().wait(0.1)
        raise AssertionError("the new container never ran")
    finally:
        watching.close()


def test_a_container_that_never_gets_healthy_loses_nothing(connections: Connections, kept: dict[str, Any]) -> None:
    ill = {"command": ["/program", "ill"], "interval_seconds": 0.1, "retries": 1}
    with pytest.raises(ServerError, match="does not get healthy") as caught:
        bring_about(CONTAINER, connections, wanted(CONTAINER, {**kept, "health": ill}))
    assert "the valve is stuck" in caught.value.detail
    well = wanted(CONTAINER, {**kept, "health": {"command": ["/program", "healthy"], "interval_seconds": 0.2}})
    bring_about(CONTAINER, connections, well)
    assert settled(CONTAINER, connections, well)
    assert content(connections, "/data/worth") == b"much"
    CONTAINER.delete(connections, well)
    VOLUME.delete(connections, wanted(VOLUME, {"name": "worth"}))
