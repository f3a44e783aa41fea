"""Drift on every field: what is there differs from what is wanted in one field, and that one is named.

A field that is added to a kind without being read back fails here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.clients.container_engine import ContainerEngine
from infra.provider.connection import Connections
from infra.provider.docker.container import CONTAINER
from infra.provider.docker.image import CONTEXT_LABEL, IMAGE
from infra.provider.docker.network import NETWORK
from infra.provider.docker.volume import VOLUME
from infra.provider.kind import Kind
from infra.provider.provider import bring_about
from tests.docker.described import changes, wanted

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.docker.test_kind")]

REFERENCE = "forgeline-test/drift:1"
HEALTH = {"command": ["/program", "healthy"], "interval_seconds": 0.2}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is there, and another value for every field of its kind."""

    kind: Kind[Any]
    inputs: Mapping[str, Any]
    others: Mapping[str, Any]
    unseen: Mapping[str, str] = field(default_factory=dict)
    """Fields that nothing outside shows, and why."""


CASES = {
    "Network": Case(
        kind=NETWORK,
        inputs={"name": "drifting", "internal": True, "subnet": "10.123.48.0/24", "gateway": "10.123.48.9"},
        others={
            "driver": "macvlan",
            "internal": False,
            "subnet": "10.123.49.0/24",
            "gateway": "10.123.48.1",
            "labels": {"a": "b"},
        },
    ),
    "Volume": Case(
        kind=VOLUME,
        inputs={"name": "drifting", "image": REFERENCE, "path": "/data"},
        others={"driver": "other", "options": {"type": "tmpfs"}, "labels": {"a": "b"}, "image": "forgeline-test/no:1"},
    ),
    "Container": Case(
        kind=CONTAINER,
        inputs={
            "name": "drifting",
            "image": REFERENCE,
            "command": ["serve"],
            "volumes": {"/etc/program": "drifting-files"},
            "networks": {"drifting-inner": []},
            "addresses": {"drifting-inner": "10.123.50.7"},
            "files": [{"path": "/etc/program/plain", "content": "plain\n"}],
            "health": HEALTH,
            "memory_mib": 64,
        },
        others={
            "image": "forgeline-test/no:1",
            "image_id": f"sha256:{'0' * 64}",
            "command": ["serve", "more"],
            "environment": {"MODE": "y"},
            "user": "1001:1001",
            "working_folder": "/etc",
            "volumes": {"/etc/program": "drifting-files:ro"},
            "tmpfs": ["/run"],
            "shm_mib": 96,
            "networks": {"drifting-inner": ["alias"]},
            "addresses": {"drifting-inner": "10.123.50.8"},
            "hosts": {"delivery.example.com": "10.123.50.9"},
            "ports": {"8080/tcp": "127.0.0.1:18080"},
            "files": [{"path": "/etc/program/plain", "content": "other\n"}],
            "started_once": "/etc/program/begun",
            "health": {**HEALTH, "retries": 7},
            "restart": "always",
            "memory_mib": 96,
            "cpus": 0.5,
            "pids": 50,
            "read_only": False,
            "capabilities": ["NET_BIND_SERVICE"],
            "labels": {"a": "b"},
            "running": False,
        },
        unseen={
            "preparations": "what was done before the start leaves nothing that says so",
            "first_uses": "what was done after the first start leaves nothing that says so",
            "hardened": "only to be seen: a test of its own",
        },
    ),
}


@pytest.fixture(scope="module")
def connections(engine: ContainerEngine, context: Path) -> Connections:
    made = Connections(engine=lambda: engine)
    built = {"reference": REFERENCE, "context": str(context), "context_sha256": "a" * 64}
    bring_about(IMAGE, made, wanted(IMAGE, built))
    return made


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, connections: Connections) -> Iterator[Case]:
    """A kind whose thing is there as it is wanted."""
    network = wanted(NETWORK, {"name": "drifting-inner", "internal": True, "subnet": "10.123.50.0/24"})
    volume = wanted(VOLUME, {"name": "drifting-files"})
    bring_about(NETWORK, connections, network)
    bring_about(VOLUME, connections, volume)
    found = CASES[request.param]
    described = wanted(found.kind, found.inputs)
    bring_about(found.kind, connections, described)
    assert changes(found.kind, connections, described) == {}
    yield found
    found.kind.delete(connections, described)
    NETWORK.delete(connections, network)
    VOLUME.delete(connections, volume)


def test_every_field_that_differs_is_named(case: Case, connections: Connections) -> None:
    for name, other in case.others.items():
        described = wanted(case.kind, {**case.inputs, name: other})
        assert {path.partition("[")[0].partition(".")[0] for path in changes(case.kind, connections, described)} == {
            name
        }, name


def test_no_field_is_forgotten(case: Case) -> None:
    written = case.kind.write_only | set(case.kind.key)
    assert set(case.others) | set(case.unseen) == set(case.kind.inputs.model_fields) - written


def test_an_image_of_other_content_is_named(connections: Connections, engine: ContainerEngine, context: Path) -> None:
    told = {"reference": REFERENCE, "context": str(context)}
    assert engine.client.images.get(REFERENCE).labels[CONTEXT_LABEL] == "a" * 64
    assert set(changes(IMAGE, connections, wanted(IMAGE, {**told, "context_sha256": "b" * 64}))) == {"context_sha256"}
    pulled = wanted(IMAGE, {"reference": REFERENCE, "digest": f"sha256:{'0' * 64}"})
    assert "digest" in changes(IMAGE, connections, pulled)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"cap_drop": ["ALL"]},
        {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "privileged": True},
        {"security_opt": ["no-new-privileges"]},
    ],
    ids=["as an engine makes it", "may gain privileges", "privileged", "keeps capabilities"],
)
def test_a_container_that_somebody_made_less_confined_is_seen(
    connections: Connections, engine: ContainerEngine, given: dict[str, Any]
) -> None:
    made = engine.client.containers.create(REFERENCE, ["serve"], name="loose", read_only=True, **given)
    try:
        described = wanted(CONTAINER, {"name": "loose", "image": REFERENCE, "command": ["serve"]})
        assert changes(CONTAINER, connections, described)["hardened"] == (True, False)
    finally:
        made.remove()
