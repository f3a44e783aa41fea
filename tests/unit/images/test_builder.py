"""The builder: which pins a container's tools have."""

from __future__ import annotations

from infra.images.builder import portable
from infra.images.recipe import GO_TOOLS
from infra.toolchain.pin import GoPin, digest, load_pins


def test_no_tool_of_a_container_is_the_machines_own() -> None:
    assert any(pin.system for pin in load_pins().tools.values())
    assert not any(pin.system for pin in portable(load_pins()).tools.values())


def test_only_what_reads_go_code_is_bound_to_the_go_that_builds_it() -> None:
    pins = portable(load_pins()).tools
    bound = {
        name: source.built_by
        for name, pin in pins.items()
        for source in pin.sources
        if isinstance(source, GoPin) and source.built_by
    }
    assert bound == dict.fromkeys(GO_TOOLS, pins["go"].version)


def test_a_tool_that_another_go_built_is_another_one() -> None:
    for name in GO_TOOLS:
        pin = load_pins().tools[name]
        (source,) = pin.sources
        assert isinstance(source, GoPin)
        bound = source.model_copy(update={"built_by": "1.27.3"})
        newer = source.model_copy(update={"built_by": "1.28.0"})
        assert len({digest(one, pin.version) for one in (source, bound, newer)}) == 3
