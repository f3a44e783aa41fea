"""The provider that adopts: it reads, says what differs, and refuses to write."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from pulumi.provider.experimental import provider as rpc

from infra.core.candidate import Verdict
from infra.core.error import StackError
from infra.provider import adoption
from infra.provider.adoption import AdoptingProvider
from infra.provider.connection import Connections
from infra.provider.kind import Fields, Found, Inputs, Kind
from infra.provider.property import UNKNOWN, fields_of, properties_of

URN = "urn:pulumi:platform::forgeline::forgeline:test:Thing::thing"


class Thing(Inputs):
    """A thing of the tests' own server."""

    name: str
    size: int = 1
    colour: str | None = None


def kind(server: Mapping[str, Fields]) -> Kind[Thing]:
    def read(_connections: Connections, wanted: Thing) -> Found | None:
        found = server.get(wanted.name)
        return None if found is None else Found(fields={"name": wanted.name, **found}, computed={"number": 7})

    def written(*_arguments: Any) -> Any:
        raise AssertionError("something was written")

    return Kind(
        type_name="forgeline:test:Thing",
        inputs=Thing,
        key=("name",),
        computed={"number": int},
        read=read,
        create=written,
        update=written,
        delete=written,
    )


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> AdoptingProvider:
    server = {"plain": {"size": 1, "colour": "red"}, "large": {"size": 9, "colour": None}}
    kinds = {"forgeline:test:Thing": kind(server)}
    monkeypatch.setattr(adoption, "KINDS", kinds)
    monkeypatch.setattr("infra.provider.provider.KINDS", kinds)
    return AdoptingProvider(Connections())


def looked_for(provider: AdoptingProvider, **fields: Any) -> dict[str, Any]:
    """What a preview is told of a resource that the state does not know."""
    request = rpc.CreateRequest(URN, properties_of(fields), 0, preview=True)
    return fields_of(asyncio.run(provider.create(request)).properties)


def test_what_is_as_declared_is_equal_and_tells_what_the_server_decided(provider: AdoptingProvider) -> None:
    assert looked_for(provider, name="plain")["number"] == 7
    found = provider.candidates[URN]
    assert (found.verdict, found.id, found.fields) == (Verdict.EQUAL, "plain", ())


def test_what_is_other_than_declared_names_its_fields(provider: AdoptingProvider) -> None:
    looked_for(provider, name="large", colour="red")
    found = provider.candidates[URN]
    assert (found.verdict, set(found.fields)) == (Verdict.DIFFERENT, {"size", "colour"})


def test_what_is_not_there_is_missing(provider: AdoptingProvider) -> None:
    assert looked_for(provider, name="none")["number"] is UNKNOWN
    assert provider.candidates[URN].verdict is Verdict.MISSING


def test_what_needs_something_missing_is_missing_too(provider: AdoptingProvider) -> None:
    looked_for(provider, name=UNKNOWN)
    assert provider.candidates[URN].verdict is Verdict.MISSING


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"name": "plain"}, {"name": "plain", "size": 1}, id="an-open-field-stays-open"),
        pytest.param({"name": "large", "size": 1}, {"name": "large", "size": 9}, id="the-servers-value"),
    ],
)
def test_an_import_reads_the_declared_fields(
    provider: AdoptingProvider, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    looked_for(provider, **fields)
    answer = asyncio.run(provider.read(rpc.ReadRequest(URN, fields["name"], {}, {})))
    assert fields_of(answer.inputs or {}) == expected
    assert fields_of(answer.properties or {}) == {**expected, "number": 7}


def test_it_refuses_to_write(provider: AdoptingProvider) -> None:
    properties = properties_of({"name": "none", "size": 1})
    for work in (
        provider.create(rpc.CreateRequest(URN, properties, 0, preview=False)),
        provider.update(rpc.UpdateRequest(URN, "none", properties, properties, 0, [], preview=False)),
        provider.delete(rpc.DeleteRequest(URN, "none", properties, 0)),
    ):
        with pytest.raises(StackError):
            asyncio.run(work)
