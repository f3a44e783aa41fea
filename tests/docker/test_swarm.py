"""Secrets and configs of a real swarm: made, read back, changed under a running service, half changed, removed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError

from infra.clients.container_engine import ContainerEngine
from infra.core.error import ServerError
from infra.core.secret import SecretValue
from infra.provider.connection import Connections
from infra.provider.docker.config import CONFIG
from infra.provider.docker.image import IMAGE
from infra.provider.docker.secret import SECRET
from infra.provider.docker.swarm import SPARE, Entries
from infra.provider.explain import explained
from infra.provider.kind import DIFFERS, Kind
from infra.provider.provider import bring_about, complete
from tests.docker.described import changes, wanted
from tests.trial import free_ports

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.docker.test_kind")]

IMAGE_NAME = "forgeline-test/swarm:1"
PATIENCE = 60
VALUES = {"openbao:a/b#one": "first-value", "openbao:a/b#two": "second-value", "openbao:a/b#three": "third-value"}


class Known(Connections):
    """Connections to the engine, and some secrets."""

    def secret(self, reference: str) -> SecretValue:
        return SecretValue(VALUES[reference])


@pytest.fixture
def connections(engine: ContainerEngine) -> Connections:
    return Known(engine=lambda: engine)


@pytest.fixture(scope="module")
def swarm(engine: ContainerEngine, context: Path) -> Iterator[ContainerEngine]:
    """The engine as a swarm of its own."""
    (port,) = free_ports(1)
    engine.client.swarm.init(advertise_addr="127.0.0.1", listen_addr=f"127.0.0.1:{port}")
    made = Connections(engine=lambda: engine)
    inputs = {"reference": IMAGE_NAME, "context": str(context), "context_sha256": "a" * 64}
    bring_about(IMAGE, made, wanted(IMAGE, inputs))
    yield engine
    engine.client.swarm.leave(force=True)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind, two descriptions of the same thing, and where a service finds it."""

    kind: Kind[Any]
    field: str
    first: str
    second: str
    third: str
    shown: dict[str, str]
    file: str
    references: str

    def inputs(self, value: str, **more: Any) -> Any:
        return wanted(self.kind, {"name": "thing", self.field: value, "labels": {"a": "b"}, **more})


CASES = [
    Case(
        kind=SECRET,
        field="value",
        first="openbao:a/b#one",
        second="openbao:a/b#two",
        third="openbao:a/b#three",
        shown=VALUES,
        file="/run/secrets/thing.txt",
        references="Secrets",
    ),
    Case(
        kind=CONFIG,
        field="content",
        first="one\n",
        second="two\n",
        third="three\n",
        shown={"one\n": "one\n", "two\n": "two\n"},
        file="/thing.txt",
        references="Configs",
    ),
]
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind.noun)


@each
def test_an_engine_without_a_swarm_is_told_with_a_remedy(case: Case, connections: Connections) -> None:
    with pytest.raises(Exception, match="swarm manager") as caught:
        bring_about(case.kind, connections, case.inputs(case.first))
    told = explained(caught.value)
    assert isinstance(told, ServerError)
    assert "docker swarm init" in told.fix


@each
def test_a_kind_keeps_the_contract(case: Case, swarm: ContainerEngine, connections: Connections) -> None:
    kind, described = case.kind, case.inputs(case.first)
    computed = bring_about(kind, connections, described)
    assert changes(kind, connections, described) == {}
    assert dict(bring_about(kind, connections, described)) == dict(computed), "create must adopt what is there"
    assert kind.read(connections, kind.from_identity("thing")) is not None

    relabelled = case.inputs(case.first, labels={"a": "c"})
    assert {path.partition("[")[0] for path in changes(kind, connections, relabelled)} == {"labels"}
    assert dict(bring_about(kind, connections, relabelled)) == dict(computed), "labels are changed in place"
    assert changes(kind, connections, relabelled) == {}

    other = case.inputs(case.second)
    assert {path.partition("[")[0] for path in changes(kind, connections, other)} == {case.field, "labels"}
    assert dict(bring_about(kind, connections, other)) != dict(computed)
    assert changes(kind, connections, other) == {}
    assert changes(kind, connections, described) != {}, "the drift must be seen from the first description too"

    kind.delete(connections, described)
    kind.delete(connections, described)
    assert kind.read(connections, described) is None


@pytest.fixture
def service(request: pytest.FixtureRequest, swarm: ContainerEngine, connections: Connections) -> Iterator[Any]:
    """A running service that uses what the case makes."""
    case: Case = request.param
    identity = next(iter(bring_about(case.kind, connections, case.inputs(case.first)).values()))
    noun = case.kind.noun
    reference = {
        f"{noun}ID": identity,
        f"{noun}Name": "thing",
        "File": {"Name": case.file.removeprefix("/run/secrets/"), "UID": "0", "GID": "0", "Mode": 0o444},
    }
    made = swarm.client.api.create_service(
        {
            "ContainerSpec": {"Image": IMAGE_NAME, case.references: [reference]},
            "RestartPolicy": {"Condition": "any", "Delay": 200_000_000},
        },
        name="user-of-it",
    )
    yield case
    swarm.client.api.remove_service(made["ID"])
    case.kind.delete(connections, case.inputs(case.first))


used = pytest.mark.parametrize("service", CASES, ids=lambda case: case.kind.noun, indirect=True)


def seen_inside(engine: ContainerEngine, file: str, expected: str) -> str:
    """What a container of the service has in a file, as soon as it is what is expected, or in the end."""
    shown, deadline = "", time.monotonic() + PATIENCE
    while shown != expected and time.monotonic() < deadline:
        for container in engine.client.containers.list(filters={"label": "com.docker.swarm.service.name=user-of-it"}):
            with contextlib.suppress(APIError):  # on its way out
                shown = container.exec_run(["/program", "show", file]).output.decode(errors="replace")
        time.sleep(0.1)
    return shown


def names(engine: ContainerEngine, case: Case) -> list[str]:
    listed: Any = engine.client.secrets if case.kind is SECRET else engine.client.configs
    return sorted(one.name for one in listed.list())


@used
def test_a_running_service_gets_the_new_value_under_the_same_name(
    service: Case, swarm: ContainerEngine, connections: Connections
) -> None:
    case = service
    assert seen_inside(swarm, case.file, case.shown[case.first]) == case.shown[case.first]
    bring_about(case.kind, connections, case.inputs(case.second))
    assert changes(case.kind, connections, case.inputs(case.second)) == {}
    assert names(swarm, case) == ["thing"], "the spare one must not stay"
    assert seen_inside(swarm, case.file, case.shown[case.second]) == case.shown[case.second]


@used
@pytest.mark.parametrize("step", ["_create", "_remove", "_point"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("then", ["second", "first", "third"])
def test_what_a_killed_run_left_half_done_is_finished_by_the_next(
    service: Case,
    swarm: ContainerEngine,
    connections: Connections,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    times: int,
    then: str,
) -> None:
    case = service
    with monkeypatch.context() as patch:
        done, real = [0], getattr(Entries, step)

        def killed(self: Entries, *arguments: Any) -> Any:
            done[0] += 1
            if done[0] == times:
                raise KeyboardInterrupt
            return real(self, *arguments)

        patch.setattr(Entries, step, killed)
        with pytest.raises(KeyboardInterrupt):
            bring_about(case.kind, connections, case.inputs(case.second))
    described = case.inputs(getattr(case, then))
    found = case.kind.read(connections, described)
    if found is not None and names(swarm, case) != ["thing"]:
        assert changes(case.kind, connections, described) != {}, "what is half done must be seen"
    bring_about(case.kind, connections, described)
    assert changes(case.kind, connections, described) == {}
    assert names(swarm, case) == ["thing"]
    (user,) = swarm.client.services.list(filters={"name": "user-of-it"})
    (reference,) = user.attrs["Spec"]["TaskTemplate"]["ContainerSpec"][case.references]
    assert reference[f"{case.kind.noun}ID"] == next(iter(case.kind.read(connections, described).computed.values()))


@used
def test_what_a_service_uses_is_not_removed(service: Case, connections: Connections) -> None:
    with pytest.raises(ServerError, match="in use by the services user-of-it") as caught:
        service.kind.delete(connections, service.inputs(service.first))
    assert "first" in caught.value.fix
    assert changes(service.kind, connections, service.inputs(service.first)) == {}


def test_a_secret_made_anew_by_hand_is_seen_and_mended(swarm: ContainerEngine, connections: Connections) -> None:
    described = CASES[0].inputs("openbao:a/b#one")
    bring_about(SECRET, connections, described)
    swarm.client.secrets.list(filters={"name": "thing"})[0].remove()
    swarm.client.api.create_secret("thing", b"somebody-elses", {"a": "b"})
    assert changes(SECRET, connections, described) == {"value": ("openbao:a/b#one", DIFFERS)}
    bring_about(SECRET, connections, described)
    assert changes(SECRET, connections, described) == {}
    SECRET.delete(connections, described)


def test_no_secret_is_where_anybody_may_look(swarm: ContainerEngine, connections: Connections) -> None:
    described = CASES[0].inputs("openbao:a/b#one")
    computed = bring_about(SECRET, connections, described)
    shown = str(swarm.client.secrets.list()[0].attrs)
    state = f"{described} {computed} {SECRET.read(connections, described)}"
    assert "first-value" not in shown + state
    SECRET.delete(connections, described)


@pytest.mark.parametrize("name", ["", "a b", "x" * 59, "-a"])
def test_a_name_that_a_swarm_does_not_take_is_refused(name: str) -> None:
    for kind in (SECRET, CONFIG):
        _, failures = complete(kind, {"name": name, "value": "openbao:a/b#c", "content": ""})
        assert [failure.property for failure in failures][:1] == ["name"]
    assert len("x" * 58 + SPARE) <= 64
