"""Each kind of the container engine, on a real one: made, read back, adopted, changed, its drift seen, removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from docker.types import Mount

from infra.clients.container import PROFILE_LABEL, SERVER_LABEL, ContainerFiles, Containers
from infra.clients.container_engine import ContainerEngine, absent
from infra.clients.readiness import Prober
from infra.core.error import ServerError
from infra.core.secret import SecretValue
from infra.core.server import Readiness
from infra.provider.connection import Connections
from infra.provider.docker.container import CONTAINER
from infra.provider.docker.image import IMAGE
from infra.provider.docker.network import NETWORK
from infra.provider.docker.volume import VOLUME
from infra.provider.kind import Kind
from infra.provider.provider import bring_about
from tests.docker.described import changes, wanted

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group(__name__)]

REFERENCE = "forgeline-test/program:1"
SECRET = "openbao:test/entry#value"


class Known(Connections):
    """Connections to the engine, and one secret."""

    def secret(self, reference: str) -> SecretValue:
        assert reference == SECRET
        return SecretValue("only-in-the-file")


@pytest.fixture
def connections(engine: ContainerEngine) -> Connections:
    return Known(engine=lambda: engine)


@pytest.fixture
def image(connections: Connections, context: Path) -> str:
    inputs = {"reference": REFERENCE, "context": str(context), "context_sha256": "a" * 64}
    bring_about(IMAGE, connections, wanted(IMAGE, inputs))
    return REFERENCE


@dataclass(frozen=True, kw_only=True)
class Case:
    kind: Kind[Any]
    inputs: Mapping[str, Any]
    other: Mapping[str, Any] = field(default_factory=dict)
    """What is changed in a second description, as far as an engine can change it in place."""


CASES = [
    Case(
        kind=NETWORK,
        inputs={
            "name": "inner",
            "internal": True,
            "subnet": "10.123.45.0/24",
            "gateway": "10.123.45.9",
            "labels": {"a": "b"},
        },
    ),
    Case(kind=VOLUME, inputs={"name": "kept", "labels": {"a": "b"}}),
    Case(
        kind=CONTAINER,
        inputs={
            "name": "program",
            "image": REFERENCE,
            "command": ["serve"],
            "environment": {"MODE": "x"},
            "user": "1000:1000",
            "volumes": {"/etc/program": "settings", "/data": "kept-too:ro"},
            "tmpfs": ["/tmp"],
            "networks": {"both": ["alias"]},
            "addresses": {"both": "10.123.46.7"},
            "working_folder": "/data",
            "folders": [{"path": "/etc/program/inner"}],
            "preparations": [
                {
                    "command": ["/program", "keep", "/etc/program/inner/kept"],
                    "content": "for {{KEY}}",
                    "secrets": {"KEY": SECRET},
                }
            ],
            "files": [
                {"path": "/etc/program/plain", "content": "plain\n", "mode": 0o644},
                {"path": "/etc/program/inner/secret", "content": "key {{KEY}}\n", "secrets": {"KEY": SECRET}},
            ],
            "health": {"command": ["/program", "healthy"], "interval_seconds": 0.2},
            "memory_mib": 64,
            "cpus": 0.5,
            "pids": 50,
            "capabilities": ["NET_BIND_SERVICE"],
            "labels": {"a": "b"},
        },
        other={
            "memory_mib": 96,
            "restart": "always",
            "networks": {"both": ["other"], "second": []},
            "files": [{"path": "/etc/program/plain", "content": "changed\n", "mode": 0o600}],
        },
    ),
]


@pytest.fixture
def ground(connections: Connections, image: str) -> Connections:
    """What the container needs."""
    assert image
    for name, subnet in (("both", "10.123.46.0/24"), ("second", "10.123.47.0/24")):
        bring_about(NETWORK, connections, wanted(NETWORK, {"name": name, "internal": True, "subnet": subnet}))
    for name in ("settings", "kept-too"):
        bring_about(VOLUME, connections, wanted(VOLUME, {"name": name}))
    return connections


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind.noun)
def test_a_kind_keeps_the_contract(case: Case, ground: Connections) -> None:
    kind, described = case.kind, wanted(case.kind, case.inputs)
    computed = bring_about(kind, ground, described)
    assert changes(kind, ground, described) == {}, "read must answer every field as it was made"
    assert dict(bring_about(kind, ground, described)) == dict(computed), "create must adopt what is there"
    imported = kind.read(ground, kind.from_identity(kind.identity(described.model_dump())))
    assert imported is not None, "it must be found by its id alone"
    if case.other:
        second = wanted(kind, {**case.inputs, **case.other})
        named = {path.partition("[")[0] for path in changes(kind, ground, second)}
        assert named == set(case.other)
        found = kind.read(ground, described)
        assert found is not None
        again = kind.update(ground, found.fields, second)
        assert dict(again) == dict(computed), "it is the same container"
        assert changes(kind, ground, second) == {}
    kind.delete(ground, described)
    kind.delete(ground, described)
    assert kind.read(ground, described) is None


def test_an_image_is_built_anew_only_of_another_content(connections: Connections, context: Path) -> None:
    inputs = {"reference": "forgeline-test/again:1", "context": str(context), "context_sha256": "a" * 64}
    first = bring_about(IMAGE, connections, wanted(IMAGE, inputs))
    assert bring_about(IMAGE, connections, wanted(IMAGE, inputs)) == first
    other = wanted(IMAGE, {**inputs, "context_sha256": "b" * 64})
    assert set(changes(IMAGE, connections, other)) == {"context_sha256"}
    bring_about(IMAGE, connections, other)
    assert changes(IMAGE, connections, other) == {}


def test_a_dockerfile_that_fails_is_told_with_its_place(connections: Connections, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY absent /\n")
    bad = wanted(IMAGE, {"reference": "forgeline-test/bad:1", "context": str(tmp_path), "context_sha256": "c" * 64})
    with pytest.raises(ServerError, match="absent") as caught:
        IMAGE.create(connections, bad)
    assert "fix:" in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "what", "detail"),
    [
        ({"command": ["die"], "restart": "no"}, "exit code 7", "the market is closed"),
        (
            {"health": {"command": ["/program", "ill"], "interval_seconds": 0.1, "retries": 1}},
            "does not get healthy",
            "the valve is stuck",
        ),
    ],
    ids=["dies", "is ill"],
)
def test_a_container_of_no_use_is_told_with_its_last_lines(
    ground: Connections, inputs: dict[str, Any], what: str, detail: str
) -> None:
    described = wanted(CONTAINER, {"name": "sick", "image": REFERENCE, **inputs})
    try:
        with pytest.raises(ServerError, match=what) as caught:
            CONTAINER.create(ground, described)
        assert detail in caught.value.detail
        assert "docker logs sick" in caught.value.fix
    finally:
        CONTAINER.delete(ground, described)


def test_what_the_engine_finds_ill_is_told_with_what_its_check_said(
    ground: Connections, engine: ContainerEngine
) -> None:
    health = {"command": ["/program", "ill"], "interval_seconds": 0.1, "retries": 1}
    labels = {PROFILE_LABEL: "ill", SERVER_LABEL: "valve"}
    described = wanted(
        CONTAINER, {"name": "sick", "image": REFERENCE, "health": health, "labels": labels, "wait": False}
    )
    bring_about(CONTAINER, ground, described)
    containers = Containers(engine, cast(Prober, None), profile="ill")
    deadline = time.monotonic() + 30
    while "unhealthy" not in containers.states()["valve"]:
        assert time.monotonic() < deadline, containers.states()
        time.sleep(0.1)
    assert containers.states()["valve"].endswith(", unhealthy: the valve is stuck")
    CONTAINER.delete(ground, described)


def stopped(engine: ContainerEngine) -> None:
    engine.client.containers.get("drifting").stop(timeout=5)


def unlimited(engine: ContainerEngine) -> None:
    engine.client.containers.get("drifting").update(mem_limit="200m", memswap_limit="400m")


def joined(engine: ContainerEngine) -> None:
    engine.client.networks.get("second").connect("drifting")


@pytest.mark.parametrize(
    ("by_hand", "field_name"), [(stopped, "running"), (unlimited, "memory_mib"), (joined, "networks")]
)
def test_what_is_changed_by_hand_is_seen_and_mended(
    ground: Connections, engine: ContainerEngine, by_hand: Callable[[ContainerEngine], None], field_name: str
) -> None:
    described = wanted(CONTAINER, {"name": "drifting", "image": REFERENCE, "memory_mib": 64, "networks": {"both": []}})
    bring_about(CONTAINER, ground, described)
    by_hand(engine)
    assert {path.partition("[")[0] for path in changes(CONTAINER, ground, described)} == {field_name}
    bring_about(CONTAINER, ground, described)
    assert changes(CONTAINER, ground, described) == {}
    CONTAINER.delete(ground, described)


def test_an_adopted_container_becomes_as_it_is_wanted(ground: Connections) -> None:
    inputs = {"name": "found", "image": REFERENCE, "environment": {"MODE": "old"}, "memory_mib": 64}
    there = bring_about(CONTAINER, ground, wanted(CONTAINER, inputs))
    in_place = wanted(CONTAINER, {**inputs, "memory_mib": 96})
    assert bring_about(CONTAINER, ground, in_place) == there
    another = wanted(CONTAINER, {**inputs, "environment": {"MODE": "new"}})
    assert bring_about(CONTAINER, ground, another) != there
    assert changes(CONTAINER, ground, another) == {}
    CONTAINER.delete(ground, another)


def test_no_secret_is_where_anybody_may_look(ground: Connections, engine: ContainerEngine) -> None:
    described = wanted(CONTAINER, {**CASES[-1].inputs, "name": "holder"})
    bring_about(CONTAINER, ground, described)
    assert "only-in-the-file" not in str(engine.client.containers.get("holder").attrs)
    assert "only-in-the-file" not in str(CONTAINER.read(ground, described))
    CONTAINER.delete(ground, described)


def test_an_engine_that_is_not_there_is_told_with_a_remedy() -> None:
    with pytest.raises(ServerError, match="no container engine answers") as caught:
        ContainerEngine.of({"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert "DOCKER_HOST" in caught.value.fix


def put(engine: ContainerEngine, path: str) -> str | None:
    """What the container `first` has at a path."""
    return ContainerFiles(engine.client.containers.get("first")).read(path)


def test_a_preparation_is_given_its_secret_on_standard_input(ground: Connections, engine: ContainerEngine) -> None:
    preparation = {
        "command": ["/program", "keep", "/etc/program/kept"],
        "content": "for {{KEY}}",
        "secrets": {"KEY": SECRET},
    }
    inputs = {"name": "first", "image": REFERENCE, "volumes": {"/etc/program": "settings"}}
    described = wanted(CONTAINER, {**inputs, "preparations": [preparation]})
    bring_about(CONTAINER, ground, described)
    assert put(engine, "/etc/program/kept") == "for only-in-the-file"
    assert len(engine.client.containers.list(all=True, filters={"ancestor": REFERENCE})) == 1
    CONTAINER.delete(ground, described)
    failing = {**preparation, "command": ["/program", "die"], "content": "", "secrets": {}}
    described = wanted(CONTAINER, {**inputs, "preparations": [failing]})
    with pytest.raises(ServerError, match="preparation ended with 7") as caught:
        bring_about(CONTAINER, ground, described)
    assert "the market is closed" in caught.value.detail
    CONTAINER.delete(ground, described)


def test_what_only_the_first_start_needs_is_taken_away(ground: Connections, engine: ContainerEngine) -> None:
    first = {"path": "/etc/program/first", "content": "once", "first_start_only": True}
    inputs = {
        "name": "first",
        "image": REFERENCE,
        "volumes": {"/etc/program": "settings"},
        "files": [first],
        "started_once": "/etc/program/started",
    }
    described = wanted(CONTAINER, inputs)
    bring_about(CONTAINER, ground, described)
    assert put(engine, "/etc/program/started")
    assert put(engine, "/etc/program/first") is None
    assert changes(CONTAINER, ground, described) == {}
    CONTAINER.delete(ground, described)


def test_a_live_file_is_changed_without_another_start(ground: Connections, engine: ContainerEngine) -> None:
    inputs = {"name": "first", "image": REFERENCE, "volumes": {"/etc/program": "settings"}}
    file = {"path": "/etc/program/page", "live": True}
    bring_about(CONTAINER, ground, wanted(CONTAINER, {**inputs, "files": [{**file, "content": "a"}]}))
    began = engine.client.containers.get("first").attrs["State"]["StartedAt"]
    described = wanted(CONTAINER, {**inputs, "files": [{**file, "content": "b"}]})
    bring_about(CONTAINER, ground, described)
    assert put(engine, "/etc/program/page") == "b"
    assert engine.client.containers.get("first").attrs["State"]["StartedAt"] == began
    CONTAINER.delete(ground, described)


def test_a_volume_begins_with_an_images_folder(ground: Connections, engine: ContainerEngine, image: str) -> None:
    described = wanted(VOLUME, {"name": "brought", "image": image, "path": "/data"})
    bring_about(VOLUME, ground, described)
    assert changes(VOLUME, ground, described) == {}
    holder = wanted(CONTAINER, {"name": "first", "image": REFERENCE, "volumes": {"/brought": "brought:ro"}})
    bring_about(CONTAINER, ground, holder)
    assert put(engine, "/brought/page") == "hello\n"
    CONTAINER.delete(ground, holder)
    VOLUME.delete(ground, described)


def test_a_volume_that_was_not_filled_to_the_end_is_filled_anew(
    ground: Connections, engine: ContainerEngine, image: str
) -> None:
    labels = {"forgeline.image": image, "own": "yes"}
    described = wanted(VOLUME, {"name": "brought", "image": image, "path": "/data", "labels": {"own": "yes"}})
    engine.client.volumes.create("brought", labels=labels)
    # What a killed run leaves: the engine puts a part into the volume as the container is made.
    mount = Mount(target="/data", source="brought", type="volume", no_copy=True)
    left = engine.client.containers.create(image, ["true"], mounts=[mount])
    bring_about(VOLUME, ground, described)
    assert absent(lambda: engine.client.containers.get(str(left.id))) is None
    holder = wanted(CONTAINER, {"name": "first", "image": REFERENCE, "volumes": {"/brought": "brought:ro"}})
    bring_about(CONTAINER, ground, holder)
    assert put(engine, "/brought/page") == "hello\n"
    assert changes(VOLUME, ground, described) == {}
    CONTAINER.delete(ground, holder)
    VOLUME.delete(ground, described)


class Answering(Known):
    """As if every server answered as soon as its container is there: what that takes is not what is looked at."""

    def containers(self) -> Any:
        return self

    def wait_ready(self, name: str, readiness: Readiness, *, shown: str) -> None:
        self.waited = [*getattr(self, "waited", []), (name, readiness.url, shown)]


def test_a_first_use_is_made_once_inside_with_its_secret_on_standard_input(
    ground: Connections, engine: ContainerEngine
) -> None:
    connections = Answering(engine=lambda: engine)
    use = {
        "answers": "http://there/ready",
        "command": ["/program", "keep", "/etc/program/told"],
        "content": "for {{KEY}}",
        "secrets": {"KEY": SECRET},
    }
    inputs = {
        "name": "first",
        "image": REFERENCE,
        "volumes": {"/etc/program": "settings"},
        "first_uses": [use],
        "started_once": "/etc/program/used",
        "readiness": {"probe": "http", "url": "http://there/"},
    }
    failing = {**use, "command": ["/program", "die"], "content": "", "secrets": {}}
    described = wanted(CONTAINER, {**inputs, "first_uses": [failing]})
    with pytest.raises(ServerError, match="/program ended with 7 at the first use") as caught:
        bring_about(CONTAINER, connections, described)
    assert "the market is closed" in caught.value.detail
    assert put(engine, "/etc/program/used") is None
    CONTAINER.delete(ground, described)

    connections = Answering(engine=lambda: engine)
    described = wanted(CONTAINER, inputs)
    bring_about(CONTAINER, connections, described)
    assert connections.waited == [("first", "http://there/ready", "first"), ("first", "http://there/", "first")]
    assert put(engine, "/etc/program/told") == "for only-in-the-file"
    assert "only-in-the-file" not in str(engine.client.containers.get("first").attrs)
    CONTAINER.delete(ground, described)
    # The volume says that the first use was made.
    bring_about(CONTAINER, connections, wanted(CONTAINER, {**inputs, "first_uses": [failing]}))
    CONTAINER.delete(ground, described)
