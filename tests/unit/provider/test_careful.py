"""On servers of others: what is there stays as it is until it is adopted, and only what was made here is removed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pulumi.provider.experimental import provider as rpc

from infra.core.error import BadInputError
from infra.provider import careful
from infra.provider.careful import CarefulProvider
from infra.provider.connection import Connections
from infra.provider.gitlab.project import PROJECT
from infra.provider.kind import Fields, Found, Inputs, Kind
from infra.provider.made import Made
from infra.provider.property import properties_of

TYPE = "forgeline:test:Thing"
URN = f"urn:pulumi:platform::forgeline::forgeline:component:Box${TYPE}::thing"


class Thing(Inputs):
    """A thing of the tests' own server."""

    name: str
    size: int = 1


class Site:
    """A server of others, and the provider that works on it."""

    def __init__(self, record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has: dict[str, int] = {}
        self.inside: list[str] = []
        self.fails = False
        self.record = record
        self.kind = Kind(
            type_name=TYPE,
            inputs=Thing,
            key=("name",),
            read=self._read,
            create=self._write,
            update=lambda connections, _old, wanted: self._write(connections, wanted),
            delete=lambda _connections, wanted: self.has.pop(wanted.name, None),
        )
        monkeypatch.setattr(careful, "KINDS", {TYPE: self.kind})
        monkeypatch.setattr("infra.provider.provider.KINDS", {TYPE: self.kind})
        monkeypatch.setattr(careful, "CONTENT", {TYPE: lambda _connections, _fields: self.inside})

    def _read(self, _connections: Connections, wanted: Thing) -> Found | None:
        return Found(fields={"name": wanted.name, "size": self.has[wanted.name]}) if wanted.name in self.has else None

    def _write(self, _connections: Connections, wanted: Thing) -> Fields:
        self.has[wanted.name] = wanted.size
        if self.fails:
            raise ConnectionError("the answer was lost")
        return {}

    def provider(self) -> CarefulProvider:
        """As a new run has it."""
        return CarefulProvider(Connections(), Made(self.record))

    def create(self, name: str, size: int = 1, *, preview: bool = False) -> None:
        request = rpc.CreateRequest(URN, properties_of({"name": name, "size": size}), 0, preview=preview)
        asyncio.run(self.provider().create(request))

    def delete(self, name: str) -> None:
        given: Any = properties_of({"name": name, "size": 1})
        asyncio.run(self.provider().delete(rpc.DeleteRequest(URN, name, given, 0)))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path / "pulumi" / "made.jsonl", monkeypatch)


def test_what_is_there_is_refused_by_name_and_left_as_it_is(site: Site) -> None:
    site.has["theirs"] = 9
    with pytest.raises(BadInputError, match="Thing theirs is there already") as caught:
        site.create("theirs")
    assert "forgeline adopt" in caught.value.fix
    assert site.has == {"theirs": 9}
    assert not Made(site.record).holds(TYPE, "theirs")


def test_a_preview_notes_nothing(site: Site) -> None:
    site.create("new", preview=True)
    assert (site.has, site.record.exists()) == ({}, False)


def test_what_was_made_is_removed_and_can_be_made_again(site: Site) -> None:
    site.create("ours", 3)
    assert site.has == {"ours": 3}
    site.delete("ours")
    assert site.has == {}
    site.create("ours", 4)
    assert site.has == {"ours": 4}


def test_what_was_adopted_is_never_removed(site: Site) -> None:
    site.has["adopted"] = 1
    site.delete("adopted")
    assert site.has == {"adopted": 1}


def test_what_others_put_into_it_keeps_it(site: Site) -> None:
    site.create("ours")
    site.inside = [f"ours/{number}" for number in range(7)]
    with pytest.raises(BadInputError, match=r"ours/0, .*ours/4 and 2 more") as caught:
        site.delete("ours")
    assert caught.value.where == "Thing ours"
    assert site.has == {"ours": 1}
    site.inside = []
    site.delete("ours")
    assert site.has == {}


def test_a_run_that_lost_the_answer_knows_its_own_things_again(site: Site) -> None:
    site.fails = True
    with pytest.raises(ConnectionError):
        site.create("ours", 2)
    site.fails = False
    site.create("ours", 5)
    assert site.has == {"ours": 5}
    site.delete("ours")
    assert site.has == {}


def test_a_record_that_a_kill_cut_is_read_to_its_last_whole_line(tmp_path: Path) -> None:
    made = Made(tmp_path / "made.jsonl")
    made.add(TYPE, "a")
    made.add(TYPE, "b")
    made.remove(TYPE, "a")
    with (tmp_path / "made.jsonl").open("a") as file:
        file.write('{"type": "forgeline:test:Thing", "id": "c", "ma')
    again = Made(tmp_path / "made.jsonl")
    assert [again.holds(TYPE, name) for name in "abc"] == [False, True, False]
    again.add(TYPE, "d")
    assert Made(tmp_path / "made.jsonl").holds(TYPE, "d")


def test_what_gitlab_puts_into_a_new_project_is_part_of_it(tmp_path: Path) -> None:
    made = Made(tmp_path / "made.jsonl")
    made.add(PROJECT.type_name, "acme/ours")
    branch = "forgeline:gitlab:ProtectedBranch"
    assert made.covers(branch, "acme/ours:main")
    assert not made.covers(branch, "acme/theirs:main")
    assert not made.holds(branch, "acme/ours:main")
