"""Images are built once, finished after a fault, and never half given to the engine. The engine's part is in
tests/docker."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.core.error import ServerError, ToolError
from infra.core.progress import Silent
from infra.images.builder import Builder
from infra.images.entry import Entry, text
from infra.images.layer import Layers, Made
from infra.images.part import Bench
from infra.images.recipe import Recipe
from infra.operations import images as module
from infra.operations.check import Verdict
from infra.operations.images import Images, debian_maker
from infra.toolchain.toolchain import Toolchain


@dataclass(kw_only=True)
class Part:
    """A layer that counts how often it is made, and fails as long as it has something to raise."""

    name: str
    made: int = 0
    tools: tuple[str, ...] = ()
    faults: list[Exception] = field(default_factory=list)

    def key(self, _bench: Bench) -> str:
        return "k" * 16

    def told(self, _bench: Bench) -> str:
        return self.name

    def fill(self, _bench: Bench, _work: Path) -> tuple[Iterator[Entry], Made]:
        self.made += 1
        return self._entries(), Made(time=86400)

    def _entries(self) -> Iterator[Entry]:
        yield text(f"opt/{self.name}", self.name)
        if self.faults:
            raise self.faults.pop()


def recipe(*parts: Part) -> Recipe:
    return Recipe(name="x", title="X", version="1", parts=parts)


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(layers=Layers(tmp_path), toolchain=Toolchain(cache=tmp_path, environ={}), environ={})


@pytest.fixture(autouse=True)
def _a_base_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Part(name="base")
    monkeypatch.setattr("infra.images.recipe.BASE", base)
    monkeypatch.setattr("infra.images.builder.BASE", base)


def test_a_plan_is_what_is_then_built_and_a_second_build_makes_nothing(builder: Builder) -> None:
    one, other = Part(name="one"), Part(name="other")
    wanted = recipe(one, other)
    [plan] = builder.plan([wanted])
    assert plan.image is None
    assert [layer.layer for layer in plan.layers] == [None, None, None]
    image = builder.make(wanted, Silent())
    assert builder.make(wanted, Silent()) == image
    assert (one.made, other.made) == (1, 1)
    [plan] = builder.plan([wanted])
    assert plan.image == image


def test_a_build_that_failed_goes_on_where_it_was(builder: Builder) -> None:
    one, other = Part(name="one"), Part(name="other", faults=[ToolError("the mirror went away")])
    wanted = recipe(one, other)
    with pytest.raises(ToolError, match="went away"):
        builder.make(wanted, Silent())
    [plan] = builder.plan([wanted])
    assert [layer.layer is not None for layer in plan.layers] == [True, True, False]
    builder.make(wanted, Silent())
    assert (one.made, other.made) == (1, 2)


def test_a_full_disk_is_told_with_a_remedy(builder: Builder) -> None:
    full = Part(name="full", faults=[OSError(errno.ENOSPC, "No space left on device", "/cache/layer.tar")])
    with pytest.raises(ToolError, match="No space left") as caught:
        builder.make(recipe(full), Silent())
    assert "FORGELINE_CACHE" in str(caught.value)
    assert "/cache/layer.tar" in str(caught.value)


def test_a_layer_that_is_to_be_made_anew_is(builder: Builder) -> None:
    one, other = Part(name="one"), Part(name="other")
    wanted = recipe(one, other)
    builder.make(wanted, Silent())
    builder.make(wanted, Silent(), anew=frozenset({"other"}))
    assert (one.made, other.made) == (1, 2)


def test_what_makes_debian_systems_is_looked_for_and_its_remedy_said(tmp_path: Path) -> None:
    missing = debian_maker({"PATH": str(tmp_path)})
    assert missing.verdict is Verdict.MISSING
    assert missing.fix == "sudo apt-get install -y --no-install-recommends mmdebstrap uidmap"
    program = tmp_path / "mmdebstrap"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert debian_maker({"PATH": str(tmp_path)}).verdict is Verdict.FINE


def test_without_an_engine_nothing_is_built(builder: Builder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = Part(name="one")
    monkeypatch.setattr(module, "chosen", lambda _: (recipe(one),))
    settings: Any = type("Settings", (), {"cache": tmp_path})
    work = Images(settings, {"DOCKER_HOST": f"unix://{tmp_path}/absent.sock"}, builder=builder)
    with pytest.raises(ServerError, match="no container engine answers"):
        work.build((), module.Phases)  # type: ignore[arg-type]
    with pytest.raises(ServerError, match="no container engine answers"):
        work.show()
    assert one.made == 0
    assert [view.state for view in work.plan()] == [module.State.MISSING]
