"""The provider's answers to the engine, with a kind that keeps its things in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from pulumi.provider.experimental import provider as rpc
from pydantic import Field

from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind
from infra.provider.property import UNKNOWN, fields_of, properties_of
from infra.provider.provider import ForgelineProvider
from infra.provider.registry import KINDS

URN = "urn:pulumi:s::forgeline::forgeline:component:Up$forgeline:test:Thing::t"
Answer = TypeVar("Answer")


class Thing(Inputs):
    """A thing in memory."""

    name: str
    size: int = 1
    owner: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)


class Store:
    """A server that holds things and counts writes."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, Any]] = {}
        self.writes = 0

    def read(self, _connections: Connections, wanted: Thing) -> Found | None:
        thing = self.things.get(wanted.name)
        return None if thing is None else Found(fields=thing, computed={"number": 7})

    def write(self, _connections: Connections, wanted: Thing) -> Fields:
        self.things[wanted.name] = wanted.model_dump()
        self.writes += 1
        return {"number": 7}

    def update(self, connections: Connections, _old: Fields, wanted: Thing) -> Fields:
        return self.write(connections, wanted)

    def delete(self, _connections: Connections, wanted: Thing) -> None:
        self.things.pop(wanted.name, None)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    it = Store()
    kind = Kind(type_name="forgeline:test:Thing", inputs=Thing, key=("name",), computed={"number": int},
                read=it.read, create=it.write, update=it.update, delete=it.delete)  # fmt: skip
    monkeypatch.setitem(KINDS, kind.type_name, kind)
    return it


@pytest.fixture
def provider() -> ForgelineProvider:
    return ForgelineProvider(Connections())


def run(answer: Coroutine[Any, Any, Answer]) -> Answer:
    return asyncio.run(answer)


def test_check_completes_with_defaults_and_passes_the_unknown_over(store: Store, provider: ForgelineProvider) -> None:
    news = properties_of({"name": "a", "owner": UNKNOWN})
    answer = run(provider.check(rpc.CheckRequest(URN, {}, news, b"")))
    assert answer.failures == []
    assert fields_of(answer.inputs or {}) == {"name": "a", "size": 1, "owner": UNKNOWN, "labels": {}}


def test_check_names_the_property_that_is_wrong(store: Store, provider: ForgelineProvider) -> None:
    answer = run(provider.check(rpc.CheckRequest(URN, {}, properties_of({"name": "a", "size": "big", "x": 1}), b"")))
    assert sorted(failure.property for failure in answer.failures or []) == ["size", "x"]


def test_diff_names_fields_and_what_replaces(store: Store, provider: ForgelineProvider) -> None:
    old = properties_of({"name": "a", "size": 1, "labels": {"x": "1"}, "number": 7})
    new = properties_of({"name": "b", "size": 2, "labels": {"x": "2"}})
    answer = run(provider.diff(rpc.DiffRequest(URN, "a", old, new, ["size"])))
    assert answer.changes
    assert answer.replaces == ["name"]
    assert set(answer.detailed_diff) == {"name", 'labels["x"]'}


def test_no_difference_is_said_to_be_none(store: Store, provider: ForgelineProvider) -> None:
    same = properties_of({"name": "a", "size": 1, "labels": {}})
    assert run(provider.diff(rpc.DiffRequest(URN, "a", same, same, []))).changes is False


def test_create_adopts_adjusts_and_does_not_write_twice(store: Store, provider: ForgelineProvider) -> None:
    store.things["a"] = {"name": "a", "size": 5, "owner": "me", "labels": {}}
    request = rpc.CreateRequest(URN, properties_of({"name": "a", "size": 2, "labels": {}}), 0, preview=False)
    answer = run(provider.create(request))
    assert answer.resource_id == "a"
    assert fields_of(answer.properties)["number"] == 7
    assert store.things["a"]["size"] == 2
    assert store.writes == 1
    run(provider.create(request))
    assert store.writes == 1


def test_a_preview_asks_nobody(store: Store, provider: ForgelineProvider) -> None:
    answer = run(provider.create(rpc.CreateRequest(URN, properties_of({"name": "a"}), 0, preview=True)))
    assert fields_of(answer.properties)["number"] is UNKNOWN
    assert store.things == {}


def test_read_tells_what_is_managed_and_an_import_everything(store: Store, provider: ForgelineProvider) -> None:
    store.things["a"] = {"name": "a", "size": 3, "owner": "me", "labels": {}}
    given = properties_of({"name": "a", "size": 1, "labels": {}})
    known = run(provider.read(rpc.ReadRequest(URN, "a", given, given)))
    assert fields_of(known.inputs) == {"name": "a", "size": 3, "labels": {}}
    imported = run(provider.read(rpc.ReadRequest(URN, "a", {}, {})))
    assert fields_of(imported.inputs)["owner"] == "me"


def test_read_of_what_is_gone_has_no_id(store: Store, provider: ForgelineProvider) -> None:
    assert run(provider.read(rpc.ReadRequest(URN, "a", {}, properties_of({"name": "a"})))).resource_id is None


def test_delete_is_fine_with_what_is_gone(store: Store, provider: ForgelineProvider) -> None:
    run(provider.delete(rpc.DeleteRequest(URN, "a", properties_of({"name": "a", "number": 7}), 0)))
    assert store.things == {}


def test_a_connection_that_the_run_lacks_is_named() -> None:
    with pytest.raises(ServerError, match="no connection to GitLab"):
        Connections().gitlab()
